// Package apiserver talks to the Kubernetes API server about single objects by
// name: one attempt a request, one watch an object.
package apiserver

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

var (
	scheme = newScheme()
	codecs = serializer.NewCodecFactory(scheme)
	// parameters encodes query options.
	parameters = runtime.NewParameterCodec(scheme)
)

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for group, add := range map[schema.GroupVersion]func(*runtime.Scheme) error{
		corev1.SchemeGroupVersion: corev1.AddToScheme, discoveryv1.SchemeGroupVersion: discoveryv1.AddToScheme,
	} {
		metav1.AddToGroupVersion(s, group)
		if err := add(s); err != nil {
			panic(err) // registering known types cannot fail
		}
	}
	return s
}

// Client is a REST client for one API group.
type Client struct{ rest *rest.RESTClient }

// New makes a client for core/v1 that does exactly one attempt a request and keeps to
// HTTP/1.1: there a request that times out takes its connection with it, whereas
// on HTTP/2 every later one would go on waiting on the same dead connection.
func New(config *rest.Config) (*Client, error) {
	return newClient(config, "/api", corev1.SchemeGroupVersion)
}

// NewDiscovery makes the same for discovery.k8s.io/v1.
func NewDiscovery(config *rest.Config) (*Client, error) {
	return newClient(config, "/apis", discoveryv1.SchemeGroupVersion)
}

func newClient(config *rest.Config, path string, group schema.GroupVersion) (*Client, error) {
	c := rest.CopyConfig(config)
	c.APIPath = path
	c.GroupVersion = &group
	c.NegotiatedSerializer = codecs.WithoutConversion()
	c.ContentType = runtime.ContentTypeProtobuf
	c.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	c.NextProtos = []string{"http/1.1"}
	c.QPS = -1
	if c.UserAgent == "" {
		c.UserAgent = "flink-ha"
	}
	if err := fresh(c); err != nil {
		return nil, err
	}
	r, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, err
	}
	return &Client{rest: r}, nil
}

// Ref names one object of the client's group, as in {"default", "configmaps", "x"}.
type Ref struct{ Namespace, Resource, Name string }

// String is resource namespace/name, as errors tell it.
func (r Ref) String() string { return r.Resource + " " + r.Namespace + "/" + r.Name }

// Get reads the object from etcd's quorum: a get without a resourceVersion
// (Kubernetes API concepts, "Semantics for get and list").
func (c *Client) Get(ctx context.Context, ref Ref, into runtime.Object) error {
	return c.rest.Get().Namespace(ref.Namespace).Resource(ref.Resource).Name(ref.Name).MaxRetries(0).Do(ctx).Into(into)
}

// JSONPatch applies one (RFC 6902) and returns the object that it left behind.
func (c *Client) JSONPatch(ctx context.Context, ref Ref, patch []byte, into runtime.Object) error {
	return c.rest.Patch(types.JSONPatchType).Namespace(ref.Namespace).Resource(ref.Resource).Name(ref.Name).
		MaxRetries(0).Body(patch).Do(ctx).Into(into)
}

// List reads the first objects of a namespace, at most limit.
func (c *Client) List(ctx context.Context, namespace, resource string, limit int64, into runtime.Object) error {
	return c.rest.Get().Namespace(namespace).Resource(resource).MaxRetries(0).
		VersionedParams(&metav1.ListOptions{Limit: limit}, parameters).Do(ctx).Into(into)
}
