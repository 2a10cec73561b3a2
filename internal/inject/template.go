package inject

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"flink-ha-sidecar/internal/manifest"
)

// template is a pod template that is written to.
//
// The operator lays the JobManager's template over the common one, and lists
// element by element, at equal positions, unless it is told to go by names
// (FlinkUtils.mergePodTemplates, 1.15). So nothing may be put at a position that
// the common template has: such positions are filled with the names that are there
// already, which changes nothing whichever way the operator merges.
type template struct {
	// own is written to; base lies below it, nil for none.
	own, base *yaml.Node
	// byName: the operator merges lists by name.
	byName bool
	// view is what both make together, without what is added here.
	view *yaml.Node
	// added lists what does not carry our name, as in "shareProcessNamespace" or, for
	// the element of a list, "volumes/logs"; it is what Remove goes by.
	added []string
}

// append adds an element to the end of a list, beyond every position of base.
func (t *template) append(element any, path ...string) error {
	list, err := manifest.Sequence(t.own, path...)
	if err != nil {
		return err
	}
	t.extend(list, manifest.List(t.base, path...), manifest.Make(element), path[len(path)-1])
	return nil
}

// extend appends to a list, which where names.
func (t *template) extend(list *yaml.Node, base []*yaml.Node, element *yaml.Node, where string) {
	for i := len(list.Content); i < len(base); i++ {
		t.repeat(list, manifest.Text(base[i], "name"), where)
	}
	list.Content = append(list.Content, element)
}

// repeat appends a name alone, which adds nothing to what has that name.
func (t *template) repeat(list *yaml.Node, name, where string) {
	list.Content = append(list.Content, manifest.Make(map[string]string{"name": name}))
	t.added = append(t.added, where+"/"+name)
}

// isBare reports whether an element says nothing but its name.
func isBare(element *yaml.Node) bool {
	return element.Kind == yaml.MappingNode && len(element.Content) == 2 && manifest.Text(element, "name") != ""
}

// container is a container to write to, and what it will be laid over, nil for
// nothing. Where base alone has it, or nobody (then Flink makes it, and takes what it
// finds here), it is added by its name.
func (t *template) container(name string) (own, partner *yaml.Node, err error) {
	containers, err := manifest.Sequence(t.own, "spec", "containers")
	if err != nil {
		return nil, nil, err
	}
	below := manifest.List(t.base, "spec", "containers")
	at := manifest.IndexNamed(containers.Content, name)
	if at < 0 {
		// At its own position in base if that is still free here, else behind all.
		free := len(below)
		if i := manifest.IndexNamed(below, name); i >= len(containers.Content) {
			free = i
		}
		for i := len(containers.Content); i < free; i++ {
			t.repeat(containers, manifest.Text(below[i], "name"), "containers")
		}
		at = len(containers.Content)
		t.repeat(containers, name, "containers")
	}
	if t.byName {
		partner = manifest.Named(t.base, name, "spec", "containers")
	} else if at < len(below) {
		partner = below[at]
	}
	return containers.Content[at], partner, nil
}

// appendToContainer adds a mount to a container.
func (t *template) appendToContainer(name string, m mount) error {
	own, partner, err := t.container(name)
	if err != nil {
		return err
	}
	mounts, err := manifest.Sequence(own, "volumeMounts")
	if err != nil {
		return err
	}
	t.extend(mounts, manifest.List(partner, "volumeMounts"), manifest.Make(m), mountsOf(name))
	return nil
}

// mountsOf names the list of a container's mounts.
func mountsOf(container string) string { return "containers/" + container + "/volumeMounts" }

// mark labels the pod, and remembers what Remove could not tell by its name.
func (t *template) mark(cluster string) error {
	labels, err := manifest.Mapping(t.own, "metadata", "labels")
	if err != nil {
		return err
	}
	manifest.Set(labels, LabelCluster, manifest.Scalar(cluster))
	if len(t.added) == 0 {
		return nil
	}
	annotations, err := manifest.Mapping(t.own, "metadata", "annotations")
	if err != nil {
		return err
	}
	manifest.Set(annotations, annotationAdded, manifest.Scalar(strings.Join(t.added, ",")))
	return nil
}

// remove takes out all that an earlier run has added to a pod template, and
// reports whether there was anything.
func remove(own *yaml.Node) bool {
	if own == nil {
		return false
	}
	before := manifest.Copy(own)
	added := strings.Split(manifest.Text(own, "metadata", "annotations", annotationAdded), ",")
	for _, e := range []struct{ list, name string }{
		{"labels", LabelCluster}, {"annotations", annotationAdded},
	} {
		if at := manifest.Get(own, "metadata", e.list); at != nil && manifest.Delete(at, e.name) {
			manifest.Prune(own, "metadata", e.list)
		}
	}
	named := func(names ...string) func(*yaml.Node) bool {
		return func(e *yaml.Node) bool { return slices.Contains(names, manifest.Text(e, "name")) }
	}
	for _, c := range manifest.List(own, "spec", "containers") {
		removeFrom(c, added, mountsOf(manifest.Text(c, "name")), named(volumeName), "volumeMounts")
		removeLiveness(c, added)
		removeGate(c, added)
	}
	for _, list := range []string{"containers", "initContainers"} {
		removeFrom(own, added, list, isOurs, "spec", list)
	}
	removeFrom(own, added, "volumes", named(volumeName), "spec", "volumes")
	removeFrom(own, added, "imagePullSecrets", named(), "spec", "imagePullSecrets")
	if slices.Contains(added, "shareProcessNamespace") {
		manifest.Delete(manifest.Get(own, "spec"), "shareProcessNamespace")
		manifest.Prune(own, "spec")
	}
	return !manifest.Equal(before, own)
}

// removeFrom removes our elements of a list, the names that were added to it, and
// the list if that leaves nothing in it.
func removeFrom(n *yaml.Node, added []string, where string, ours func(*yaml.Node) bool, path ...string) {
	list := manifest.Get(n, path...)
	if list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	before := len(list.Content)
	list.Content = slices.DeleteFunc(list.Content, ours)
	for len(list.Content) > 0 {
		last := list.Content[len(list.Content)-1]
		if !isBare(last) || !slices.Contains(added, where+"/"+manifest.Text(last, "name")) {
			break
		}
		list.Content = list.Content[:len(list.Content)-1]
	}
	if len(list.Content) < before {
		manifest.Prune(n, path...)
	}
}
