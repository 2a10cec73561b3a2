package kube

// WrittenRecords are what each Flink writes.
func WrittenRecords() []string {
	var all []string
	for _, w := range written {
		all = append(all, w)
	}
	return all
}

// UnreadableRecords are what no Flink can read.
func UnreadableRecords() []string {
	var all []string
	for _, u := range unreadable {
		if !u.ours && u.annotation != "" {
			all = append(all, u.annotation)
		}
	}
	return all
}
