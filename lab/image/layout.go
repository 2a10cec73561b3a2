package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ReadFile returns the content of a file in the layer of an archive that
// [Image.Write] wrote; name has no slash at the front.
func ReadFile(archive []byte, name string) ([]byte, error) {
	content, err := entry(bytes.NewReader(archive), "manifest.json")
	if err != nil {
		return nil, err
	}
	var manifest []struct{ Layers []string }
	if err := json.Unmarshal(content, &manifest); err != nil || len(manifest) != 1 || len(manifest[0].Layers) != 1 {
		return nil, fmt.Errorf("read image: manifest.json says %s", content)
	}
	layer, err := entry(bytes.NewReader(archive), manifest[0].Layers[0])
	if err != nil {
		return nil, err
	}
	plain, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		return nil, fmt.Errorf("read image: %w", err)
	}
	return entry(plain, name)
}

func entry(r io.Reader, name string) ([]byte, error) {
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read image: there is no %s", name)
		}
		if err != nil {
			return nil, fmt.Errorf("read image: %w", err)
		}
		if h.Name == name {
			return io.ReadAll(archive)
		}
	}
}
