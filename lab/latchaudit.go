package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// BuildZooKeeperStandIn is BuildStandIn for ZooKeeper HA: lab/cmd/zkstandin.
func BuildZooKeeperStandIn(ctx context.Context, progress *Progress, dir string) (_ string, err error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	done := progress.Step("build the stand-in for ZooKeeper HA")
	defer func() { done(err) }()
	binary := dir + "/zkstandin"
	return binary, goBuild(ctx, root, binary, "./lab/cmd/zkstandin")
}

// LatchDeletion is a place in the queue that went away.
type LatchDeletion struct {
	// At is when the watch told, some milliseconds after the deletion.
	At    time.Time
	Name  string
	Owner string // a session
}

// LatchAudit watches the queue of one cluster on a connection of its own and keeps
// every place that went away.
type LatchAudit struct {
	latch *latch

	mu        sync.Mutex
	standing  map[string]string // name to owner
	deletions []LatchDeletion
}

// NewLatchAudit prepares one for the cluster at path; [LatchAudit.Run] does it.
func NewLatchAudit(z *ZooKeeper, path string) *LatchAudit {
	w := NewLatchWatch(z, path)
	return &LatchAudit{latch: w.latch, standing: map[string]string{}}
}

// Run watches until ctx is done, through any outage: what went away meanwhile is
// noted afterwards.
func (a *LatchAudit) Run(ctx context.Context) {
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for ctx.Err() == nil {
		_ = a.follow(ctx) // whatever it is, the next attempt is soon
		select {
		case <-ctx.Done():
		case <-retry.C:
		}
	}
}

// follow watches until the connection ends.
func (a *LatchAudit) follow(ctx context.Context) error {
	told := make(chan time.Time, 1)
	conn, err := DialZooKeeper(a.latch.servers, 10*time.Second, func(zk.Event) {
		select {
		case told <- time.Now():
		default:
		}
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	for at := time.Now(); ctx.Err() == nil; {
		places, err := a.latch.places(conn)
		if errors.Is(err, zk.ErrNoNode) {
			continue // a place came or went between two requests
		}
		if err != nil {
			return err
		}
		a.compare(places, at)
		select {
		case at = <-told:
		case <-ctx.Done():
		}
	}
	return nil
}

func (a *LatchAudit) compare(places []place, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := map[string]string{}
	for _, p := range places {
		now[p.name] = p.owner
	}
	for name, owner := range a.standing {
		if _, there := now[name]; !there {
			a.deletions = append(a.deletions, LatchDeletion{At: at, Name: name, Owner: owner})
		}
	}
	a.standing = now
}

// Deletions are all places that went away so far, oldest first.
func (a *LatchAudit) Deletions() []LatchDeletion {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]LatchDeletion(nil), a.deletions...)
}

var hasPlace = regexp.MustCompile(` session (0x[0-9a-f]+) has place `)

// StandInSessions are the sessions that a stand-in for ZooKeeper HA has had, by its
// log, the present one last.
func StandInSessions(log string) ([]string, error) {
	f, err := os.Open(log)
	if err != nil {
		return nil, fmt.Errorf("read stand-in's log: %w", err)
	}
	defer f.Close()
	var sessions []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if found := hasPlace.FindStringSubmatch(lines.Text()); found != nil {
			sessions = append(sessions, found[1])
		}
	}
	return sessions, nil
}
