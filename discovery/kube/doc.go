// Package kube keeps the leader's address in two objects of the Kubernetes API: the
// ConfigMap and the EndpointSlice named after the cluster. See discovery.Publisher
// for when and what.
package kube
