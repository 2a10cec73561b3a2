// Package resume finds what a job goes on from without Flink's own HA: the newest
// checkpoint or savepoint under a directory that is complete, and the place for it in
// the JobManager's command line.
package resume
