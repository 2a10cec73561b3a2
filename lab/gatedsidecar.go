package lab

// NewSidecar prepares the sidecar of a gated pod, which elects, without starting it.
// extra flags come last, where they win.
func (p *GatedPod) NewSidecar(binary, kubeConfig string, extra ...string) *Sidecar {
	j := &JobManager{Name: p.Name, Address: p.Address, ConfDir: p.ConfDir, settings: p.settings}
	flags := append([]string{"--backend", "vvp-kubernetes", "--cluster-id", p.settings.ClusterID}, extra...)
	return NewSidecar(p.settings, j, binary, kubeConfig, flags...)
}
