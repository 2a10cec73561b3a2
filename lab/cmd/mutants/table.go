package main

// mutants are the safety rules of docs/design.md, each with one way to break it
// and the test that must notice.
var mutants = []mutant{
	{
		rule: "the patch tests the record", file: "leader/kube/backend.go", pkg: "leader/kube", test: "TestIntegrationContract",
		old: "\t\t{Op: \"test\", Path: annotationPath, Value: old},\n", new: "",
	},
	{
		rule: "the holder is compared before a release", file: "leader/state.go", pkg: "leader", test: "TestSupersededLockIsNeverTouched",
		old: "\t\tif b.Holder == holder {", new: "\t\tif b.Holder != \"\" {",
	},
	{
		rule: "the backend compares the holder too", file: "leader/kube/backend.go", pkg: "leader/kube", test: "TestIntegrationContract",
		old: "err != nil || r.Holder != holder || holder == \"\"", new: "err != nil",
	},
	{
		rule: "the tenure is compared in binding", file: "leader/bind.go", pkg: "leader", test: "TestBindByChange",
		old: "next.Lock != LockHeld || prev.Tenure != next.Tenure {", new: "next.Lock != LockHeld {",
	},
	{
		rule: "a removed key is no write", file: "leader/bind.go", pkg: "leader", test: "TestBindByChange",
		old: "\t\tif !there || prev.Published[c] == now {\n",
		new: "\t\tif !there {\n\t\t\tnow = prev.Published[c]\n\t\t} else if prev.Published[c] == now {\n",
	},
	{
		rule: "a renewal after the death refutes it", file: "leader/judge.go", pkg: "leader", test: "TestRenewalAfterTheDeathRefutesIt",
		old: "return s.view.Renewed.After(latest) || s.view", new: "return s.view",
	},
	{
		rule: "a lease about to end is left alone", file: "leader/judge.go", pkg: "leader", test: "TestNoReleaseWithinASecondOfTheLeasesEnd",
		old: "case !expiry.IsZero() && now.After(expiry.Add(-r.Margin)):", new: "case !expiry.IsZero() && now.After(expiry):",
	},
	{
		rule: "dead is sticky", file: "leader/judge.go", pkg: "leader", test: "TestDeadHolderThatAppearsAgainIsFreedAgain",
		old: "\t\tc.Freed = now\n", new: "\t\tc.Freed = now\n\t\ts.deaths = nil\n",
	},
	{
		rule: "a PID alone is no process", file: "jobmanager/handle.go", pkg: "jobmanager", test: "TestRecycledPIDIsNeverTheEarlierProcess",
		old: "case ended, statErr == nil && st.startTime != p.StartTime:", new: "case ended, statErr == nil && st.startTime == 0:",
	},
	{
		rule: "the read begins after the death", file: "leader/judge.go", pkg: "leader", test: "TestReleaseNeedsAReadBegunAfterTheDeath",
		old: " && !s.freshBegun.Before(death.known()) {", new: " && !s.freshBegun.Before(death.At.Add(-time.Hour)) {",
	},
	{
		rule: "what ended before it was bound refutes it", file: "leader/judge.go", pkg: "leader", test: "TestBindingAfterTheDeathRefutesIt",
		old: "b.BoundAt.After(latest)", new: "b.BoundAt.After(latest.Add(time.Hour))",
	},
	{
		rule: "on a lock without times nothing is forgiven to the kubelet's word", file: "leader/judge.go", pkg: "leader", test: "TestKubeletsWordOnALockWithoutTimes",
		old: "return b.BoundAt.After(death.At)", new: "return b.BoundAt.After(latest.Add(time.Minute))",
	},
	{
		rule: "three deaths in a minute damp", file: "leader/judge.go", pkg: "leader", test: "TestDamper",
		old: "return len(s.recentReleases(r, now)) >= r.DamperReleases", new: "return false",
	},
	{
		rule: "the state is written over what was read", file: "leader/kube/state.go", pkg: "leader/kube", test: "TestIntegrationStateContract",
		old: "if last == nil || last.ResourceVersion != over.Tag {", new: "if last == nil {",
	},
	{
		rule: "the state's node is the one that was read", file: "leader/zookeeper/state.go", pkg: "leader/zookeeper", test: "TestIntegrationStateContract",
		old: "if stat == nil || stateVersion(nil, stat).Tag != over.Tag {", new: "if stat == nil {",
	},
	{
		rule: "a handover needs a ready standby", file: "internal/handover/handover.go", pkg: "internal/handover", test: "TestHandoverIsRefusedWithoutHavingChangedAnything",
		old: "case len(ready) > 0:", new: "case len(ready) >= 0:",
	},
	{
		rule: "a pause stands", file: "leader/judge.go", pkg: "leader", test: "TestNothingIsFreedWhilePausedAndAllIsFreedThen",
		old: "	case s.pausing(now):\n", new: "	case s.pausing(now.Add(time.Hour)):\n",
	},
	{
		rule: "a pause ends by its own length", file: "leader/pause.go", pkg: "leader", test: "TestPauseToldAgainIsNoLonger",
		old: "if p.Equal(s.paused) && !s.pausedBy.IsZero() {", new: "if p.Equal(s.paused) && s.pausedBy.IsZero() {",
	},
	{
		rule: "the owner of a place is read again", file: "leader/zookeeper/release.go", pkg: "leader/zookeeper", test: "TestIntegrationBackend",
		old: "case stat.EphemeralOwner != p.owner || stat.Czxid != p.czxid:", new: "case false:",
	},
	{
		rule: "a delete names the version", file: "leader/zookeeper/release.go", pkg: "leader/zookeeper", test: "TestIntegrationBackend",
		old: "conn.Delete(node, version)", new: "conn.Delete(node, -1)",
	},
	{
		rule: "only the dead session's locks go", file: "leader/zookeeper/locks.go", pkg: "leader/zookeeper", test: "TestIntegrationBackend",
		old: "return n.owner != session })", new: "return n.owner == 0 })",
	},
	{
		rule: "an address of two sessions binds neither", file: "leader/bind.go", pkg: "leader", test: "TestBindByOwner",
		old: "if holder != \"\" && holder != p.Owner {", new: "if holder == \"none\" {",
	},
	{
		rule: "a session without a place is not bound", file: "leader/bind.go", pkg: "leader", test: "TestSessionWithoutAPlaceInTheQueueIsNotBound",
		old: "if next.Contenders != nil && !slices.Contains(next.Contenders, holder) {", new: "if next.Contenders == nil && holder == \"none\" {",
	},
	{
		rule: "a connection binds the only process alone", file: "leader/queue.go", pkg: "leader", test: "TestAttributedStandby",
		old: "if p, sole := s.evidence.Sole(); !sole || p != in.Process {", new: "if p, sole := s.evidence.Sole(); sole && p.PID < 0 {",
	},
	{
		rule: "a connection alone is no sign of life", file: "jobmanager/pulse/port.go", pkg: "jobmanager/pulse", test: "TestPort",
		old: "a.OK = ctx.Err() == nil; !a.OK", new: "a.OK = true; !a.OK",
	},
	{
		rule: "a renewed lock is a sign of life", file: "jobmanager/pulse/judge.go", pkg: "jobmanager/pulse", test: "TestStuck",
		old: "in.Lock.Mark != s.mark)", new: "in.Lock.Mark == \"\")",
	},
	{
		rule: "silence counts only while the sidecar listens", file: "jobmanager/pulse/judge.go", pkg: "jobmanager/pulse", test: "TestStuck",
		old: "attentive := in.Begun", new: "attentive := in.Begun.Sub(s.ended) < time.Hour || in.Begun",
	},
	{
		rule: "an old verdict kills nobody", file: "health/health.go", pkg: "health", test: "TestTheTableInTheDocsIsTheCode",
		old: "p != v.Process || now.Sub(v.At) > FreshFor", new: "p != v.Process",
	},
	{
		rule: "a verdict is about one process", file: "health/health.go", pkg: "health", test: "TestTheTableInTheDocsIsTheCode",
		old: "!sole || p != v.Process || now", new: "!sole || p.PID != v.Process.PID || now",
	},
	{
		rule: "a sidecar that does not answer kills nobody", file: "internal/command/check.go", pkg: "internal/command", test: "TestCheckFailsOnAPositiveAnswerAlone",
		old: "\tcase err != nil:\n\t\treturn passing{err}\n\tcase said", new: "\tcase err != nil:\n\t\treturn err\n\tcase said",
	},
	{
		rule: "a gate looks at the clock before all else", file: "jobmanager/gate/machine.go", pkg: "jobmanager/gate", test: "TestMachine",
		old: "if s.alive() && s.killAt != 0 && now >= s.killAt {", new: "if s.alive() && s.killAt != 0 && now >= s.killAt && e.Kind == Tick {",
	},
	{
		rule: "a gate asks anew after its command's end", file: "jobmanager/gate/machine.go", pkg: "jobmanager/gate", test: "TestMachine",
		old: "s.permit, s.killAt = Permit{}, 0", new: "s.killAt = 0",
	},
	{
		rule: "the guard kills where the keeper is stopped", file: "jobmanager/gate/guard.go", pkg: "jobmanager/gate", test: "TestFaults",
		old: "if at == 0 || now < at {", new: "if at == 0 || now < at+3600e9 {",
	},
	{
		rule: "the guard kills what a keeper leaves", file: "jobmanager/gate/guard.go", pkg: "jobmanager/gate", test: "TestFaults",
		old: "return status, g.killAll()", new: "return status, nil",
	},
	{
		rule: "the keeper ends all with the guard", file: "jobmanager/gate/keeper.go", pkg: "jobmanager/gate", test: "TestFaults",
		old: "return 0, k.endAll(errors.New(\"the gate's other process has ended\"))", new: "return 137, errors.New(\"the gate's other process has ended\")",
	},
	{
		rule: "the command ends with the keeper", file: "jobmanager/gate/child.go", pkg: "jobmanager/gate", test: "TestTheKernelKillsTheCommand",
		old: ", Pdeathsig: syscall.SIGKILL", new: "",
	},
	{
		rule: "half a checkpoint is never taken", file: "jobmanager/resume/find.go", pkg: "jobmanager/resume", test: "TestNewest",
		old: "err := CheckFile(filepath.Join(c.path, metadataFile))", new: "err := CheckFile(filepath.Join(c.path, metadataFile))\n\t\terr = nil",
	},
}
