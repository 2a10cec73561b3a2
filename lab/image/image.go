// Package image writes container images without a container engine: one layer,
// a configuration and a manifest, in an archive that docker load, podman load,
// ctr images import and skopeo read. The same input gives the same bytes.
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// Image is one image for one architecture of Linux.
type Image struct {
	// Name is the complete reference, as in "docker.io/library/flink-ha-sidecar:1.0".
	Name string
	// Arch is as in GOARCH: amd64 or arm64.
	Arch       string
	Files      []File
	User       string
	Entrypoint []string
	Env        []string
	Labels     map[string]string
}

// File is one entry of the layer. It belongs to root.
type File struct {
	// Path is absolute; a folder's ends with a slash. The folders above it are
	// made with mode 0755 unless they are given themselves.
	Path string
	// Mode has the permission bits, and 0o1000 for a folder like /tmp.
	Mode int64
	// Content is a regular file's.
	Content []byte
	// Link is where a symbolic link points to; then there is no content.
	Link string
}

// Write writes the archive and returns how many bytes of it are the image as a
// registry would hold it: compressed layer, configuration and manifest.
func (i Image) Write(w io.Writer) (size int64, err error) {
	plain, err := i.layer()
	if err != nil {
		return 0, err
	}
	compressed, err := compress(plain)
	if err != nil {
		return 0, err
	}
	layer := newBlob("application/vnd.oci.image.layer.v1.tar+gzip", compressed)
	config, err := encode("application/vnd.oci.image.config.v1+json", i.config(digest(plain)))
	if err != nil {
		return 0, err
	}
	manifest, err := encode(manifestType, map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config.descriptor(), "layers": []any{layer.descriptor()},
	})
	if err != nil {
		return 0, err
	}
	err = i.archive(w, layer, config, manifest)
	return int64(len(layer.content) + len(config.content) + len(manifest.content)), err
}

const manifestType = "application/vnd.oci.image.manifest.v1+json"

// archive is an OCI image layout with the file manifest.json of docker save
// beside it.
func (i Image) archive(w io.Writer, layer, config, manifest blob) error {
	_, tag, _ := strings.Cut(path.Base(i.Name), ":")
	entry := manifest.descriptor()
	entry["platform"] = map[string]any{"architecture": i.Arch, "os": "linux"}
	entry["annotations"] = map[string]any{"io.containerd.image.name": i.Name, "org.opencontainers.image.ref.name": tag}
	index, err := encode("", map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{entry},
	})
	if err != nil {
		return err
	}
	docker, err := encode("", []any{map[string]any{
		"Config": config.path(), "RepoTags": []string{i.Name}, "Layers": []string{layer.path()},
	}})
	if err != nil {
		return err
	}
	files := []File{
		{Path: "/blobs/", Mode: 0o755}, {Path: "/blobs/sha256/", Mode: 0o755},
		{Path: "/" + layer.path(), Mode: 0o644, Content: layer.content},
		{Path: "/" + config.path(), Mode: 0o644, Content: config.content},
		{Path: "/" + manifest.path(), Mode: 0o644, Content: manifest.content},
		{Path: "/index.json", Mode: 0o644, Content: index.content},
		{Path: "/manifest.json", Mode: 0o644, Content: docker.content},
		{Path: "/oci-layout", Mode: 0o644, Content: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
	}
	return pack(w, files)
}

func (i Image) config(diffID string) map[string]any {
	runtime := map[string]any{}
	if i.User != "" {
		runtime["User"] = i.User
	}
	if len(i.Entrypoint) > 0 {
		runtime["Entrypoint"] = i.Entrypoint
	}
	if len(i.Env) > 0 {
		runtime["Env"] = i.Env
	}
	if len(i.Labels) > 0 {
		runtime["Labels"] = i.Labels
	}
	return map[string]any{
		"architecture": i.Arch, "os": "linux", "config": runtime,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{diffID}},
	}
}

// layer is the image's only one, uncompressed.
func (i Image) layer() ([]byte, error) {
	var b bytes.Buffer
	err := pack(&b, withFolders(i.Files))
	return b.Bytes(), err
}

// withFolders adds the folders that are missing and sorts: what a layer lists
// first must hold what it lists later.
func withFolders(files []File) []File {
	given := map[string]bool{}
	for _, f := range files {
		given[f.Path] = true
	}
	all := slices.Clone(files)
	for _, f := range files {
		for dir := path.Dir(strings.TrimSuffix(f.Path, "/")); dir != "/"; dir = path.Dir(dir) {
			if !given[dir+"/"] {
				given[dir+"/"] = true
				all = append(all, File{Path: dir + "/", Mode: 0o755})
			}
		}
	}
	slices.SortFunc(all, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// pack writes a tar archive whose bytes depend on the files alone.
func pack(w io.Writer, files []File) error {
	archive := tar.NewWriter(w)
	for _, f := range files {
		header := &tar.Header{Name: strings.TrimPrefix(f.Path, "/"), Mode: f.Mode, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		switch {
		case f.Link != "":
			header.Typeflag, header.Linkname = tar.TypeSymlink, f.Link
		case strings.HasSuffix(f.Path, "/"):
			header.Typeflag = tar.TypeDir
		default:
			header.Typeflag, header.Size = tar.TypeReg, int64(len(f.Content))
		}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("write image: %w", err)
		}
		if _, err := archive.Write(f.Content); err != nil {
			return fmt.Errorf("write image: %w", err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	return nil
}

func compress(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress layer: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("compress layer: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress layer: %w", err)
	}
	return b.Bytes(), nil
}

// blob is content that others point to by its digest.
type blob struct {
	mediaType string
	content   []byte
	digest    string
}

func newBlob(mediaType string, content []byte) blob {
	return blob{mediaType: mediaType, content: content, digest: digest(content)}
}

func encode(mediaType string, value any) (blob, error) {
	content, err := json.Marshal(value) // keys of maps are sorted
	if err != nil {
		return blob{}, fmt.Errorf("write image: %w", err)
	}
	return newBlob(mediaType, content), nil
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (b blob) path() string { return "blobs/" + strings.Replace(b.digest, ":", "/", 1) }

func (b blob) descriptor() map[string]any {
	return map[string]any{"mediaType": b.mediaType, "digest": b.digest, "size": len(b.content)}
}
