package handover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// poll is how often a checkpoint is asked after: what is processed between its end and
// the JobManager's is processed again.
const poll = 20 * time.Millisecond

// runningJobs are those worth a checkpoint. A job that is being cancelled is no matter
// for a handover: the next leader would have nothing to go on with, or would run it
// again.
func (h *Handover) runningJobs(ctx context.Context, say func(string)) ([]string, error) {
	bounded, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	jobs, err := h.Flink.Jobs(bounded)
	if err != nil {
		say("the jobs are not known: " + err.Error())
		return nil, nil
	}
	var running []string
	ended := 0
	for _, j := range jobs {
		switch j.Status {
		case "CANCELLING", "CANCELED":
			return nil, fmt.Errorf("job %s is %s: the application is being cancelled, and a handover is no way to stop a job", j.ID, strings.ToLower(j.Status))
		case "FINISHED", "FAILED":
			ended++
		case "RUNNING":
			running = append(running, j.ID)
		}
	}
	if ended > 0 && ended == len(jobs) {
		return nil, errors.New("all jobs have ended: Flink is about to take the cluster down, and a handover is no way to stop a job")
	}
	return running, nil
}

// checkpoint takes one of each job, and says what became of it.
func (h *Handover) checkpoint(ctx context.Context, jobs []string, limit time.Duration) string {
	switch {
	case len(jobs) == 0:
		return "none, no job is running"
	case limit <= 0:
		return "none was asked for"
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	triggers := make(map[string]string)
	for _, job := range jobs {
		trigger, err := h.Flink.Trigger(ctx, job)
		if err != nil {
			return fmt.Sprintf("not taken, so more is processed again: job %s: %v", job, err)
		}
		triggers[job] = trigger
	}
	t := time.NewTicker(poll)
	defer t.Stop()
	for {
		for job, trigger := range triggers {
			done, err := h.Flink.Completed(ctx, job, trigger)
			switch {
			case err != nil && ctx.Err() == nil:
				return fmt.Sprintf("failed, so more is processed again: job %s: %v", job, err)
			case done:
				delete(triggers, job)
			}
		}
		if len(triggers) == 0 {
			return "completed"
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Sprintf("not completed within %v, so more is processed again", limit)
		}
	}
}
