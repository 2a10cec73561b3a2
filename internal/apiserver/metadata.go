package apiserver

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// metadataOnly asks for nothing but an object's metadata, whatever its type.
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// Metadata reads the metadata of an object of any group.
func (c *Client) Metadata(ctx context.Context, group schema.GroupVersion, ref Ref) (metav1.ObjectMeta, error) {
	path := "/apis/" + group.String()
	if group.Group == "" {
		path = "/api/" + group.Version
	}
	raw, err := c.rest.Get().AbsPath(path, "namespaces", ref.Namespace, ref.Resource, ref.Name).
		SetHeader("Accept", metadataOnly).MaxRetries(0).Do(ctx).Raw()
	if err != nil {
		return metav1.ObjectMeta{}, err
	}
	var object metav1.PartialObjectMetadata
	if err := json.Unmarshal(raw, &object); err != nil {
		return metav1.ObjectMeta{}, fmt.Errorf("read metadata of %s: %w", ref, err)
	}
	return object.ObjectMeta, nil
}
