package kube_test

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }

func template(name string) (metav1.ObjectMeta, *metav1.LabelSelector, corev1.PodTemplateSpec) {
	labels := map[string]string{"x": name}
	return metav1.ObjectMeta{Name: name}, &metav1.LabelSelector{MatchLabels: labels}, corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}
}

func deploymentOf(name string, owner metav1.OwnerReference) *appsv1.Deployment {
	meta, selector, pod := template(name)
	meta.OwnerReferences = []metav1.OwnerReference{owner}
	return &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: selector, Template: pod}}
}

func replicaSetOf(name string, owner metav1.OwnerReference) *appsv1.ReplicaSet {
	meta, selector, pod := template(name + "-abc")
	meta.OwnerReferences = []metav1.OwnerReference{owner}
	return &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Selector: selector, Template: pod}}
}
