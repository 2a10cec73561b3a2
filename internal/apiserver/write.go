package apiserver

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Create makes an object; its resource is ref's, and ref.Name does not count.
func (c *Client) Create(ctx context.Context, ref Ref, object, into runtime.Object) error {
	return c.rest.Post().Namespace(ref.Namespace).Resource(ref.Resource).MaxRetries(0).Body(object).Do(ctx).Into(into)
}

// Update replaces the object if its newest version is the resourceVersion that
// object carries; otherwise it is a conflict.
func (c *Client) Update(ctx context.Context, ref Ref, object, into runtime.Object) error {
	return c.rest.Put().Namespace(ref.Namespace).Resource(ref.Resource).Name(ref.Name).MaxRetries(0).Body(object).Do(ctx).Into(into)
}

// Delete deletes the object if its uid is the one given, gracefully, as the object's
// own settings say. With dryRun nothing is deleted: it shows whether it might be.
func (c *Client) Delete(ctx context.Context, ref Ref, uid types.UID, dryRun bool) error {
	o := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
	if dryRun {
		o.DryRun = []string{metav1.DryRunAll}
	}
	return c.rest.Delete().Namespace(ref.Namespace).Resource(ref.Resource).Name(ref.Name).MaxRetries(0).Body(&o).Do(ctx).Error()
}
