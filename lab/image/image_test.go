package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// unpack reads a tar archive: name to content, and the order of the names.
func unpack(t *testing.T, r io.Reader) (files map[string][]byte, headers []*tar.Header) {
	t.Helper()
	files = map[string][]byte{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, headers
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = content
		headers = append(headers, h)
	}
}

func decode(t *testing.T, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", content, err)
	}
}

type descriptor struct {
	Digest string
	Size   int
}

func TestArchiveHoldsWhatItsManifestsSay(t *testing.T) {
	i := Sidecar("docker.io/library/flink-ha-sidecar:7", "7", "arm64", []byte("program"), []byte("certificates"))
	var archive bytes.Buffer
	size, err := i.Write(&archive)
	if err != nil {
		t.Fatal(err)
	}
	files, _ := unpack(t, &archive)
	blob := func(d descriptor) []byte {
		t.Helper()
		content := files["blobs/"+strings.Replace(d.Digest, ":", "/", 1)]
		if digest(content) != d.Digest || len(content) != d.Size {
			t.Fatalf("blob %s of %d bytes has digest %s and %d bytes", d.Digest, d.Size, digest(content), len(content))
		}
		return content
	}
	var index struct{ Manifests []descriptor }
	decode(t, files["index.json"], &index)
	if len(index.Manifests) != 1 {
		t.Fatalf("%d manifests, want 1", len(index.Manifests))
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	decode(t, blob(index.Manifests[0]), &manifest)
	if want := int64(index.Manifests[0].Size + manifest.Config.Size + manifest.Layers[0].Size); size != want {
		t.Errorf("size %d, want %d", size, want)
	}
	var config struct {
		Architecture, OS string
		Config           struct {
			User       string
			Entrypoint []string
			Labels     map[string]string
		}
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	decode(t, blob(manifest.Config), &config)
	if config.Architecture != "arm64" || config.OS != "linux" || config.Config.User != i.User ||
		!slices.Equal(config.Config.Entrypoint, i.Entrypoint) || config.Config.Labels["org.opencontainers.image.version"] != "7" {
		t.Errorf("configuration %+v", config)
	}
	plain, err := gzip.NewReader(bytes.NewReader(blob(manifest.Layers[0])))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(config.Rootfs.DiffIDs, []string{digest(layer)}) {
		t.Errorf("diff ids %q, want %q", config.Rootfs.DiffIDs, digest(layer))
	}
	checkLayer(t, layer)
	var docker []struct {
		Config           string
		RepoTags, Layers []string
	}
	decode(t, files["manifest.json"], &docker)
	if len(docker) != 1 || docker[0].RepoTags[0] != i.Name || files[docker[0].Config] == nil || files[docker[0].Layers[0]] == nil {
		t.Errorf("manifest.json %+v", docker)
	}
}

// checkLayer fails the test unless the layer has the two files, nothing that a
// user could write to, and each folder before what is in it.
func checkLayer(t *testing.T, layer []byte) {
	t.Helper()
	files, headers := unpack(t, bytes.NewReader(layer))
	if string(files["flink-ha"]) != "program" || string(files["etc/ssl/certs/ca-certificates.crt"]) != "certificates" {
		t.Errorf("files %q", files)
	}
	var names []string
	for _, h := range headers {
		names = append(names, h.Name)
		if h.Uid != 0 || h.Gid != 0 || h.Mode&0o022 != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%s: owner %d:%d, mode %o, time %v", h.Name, h.Uid, h.Gid, h.Mode, h.ModTime)
		}
	}
	if want := []string{"etc/", "etc/ssl/", "etc/ssl/certs/", "etc/ssl/certs/ca-certificates.crt", "flink-ha"}; !slices.Equal(names, want) {
		t.Errorf("layer has %q, want %q", names, want)
	}
}

func TestSameInputGivesTheSameBytes(t *testing.T) {
	var both [2]bytes.Buffer
	for n := range both {
		i := Sidecar("docker.io/library/flink-ha-sidecar:7", "7", "amd64", []byte("program"), []byte("certificates"))
		if _, err := i.Write(&both[n]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(both[0].Bytes(), both[1].Bytes()) {
		t.Error("two archives of one image differ")
	}
}
