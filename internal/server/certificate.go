package server

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Certificate reads a certificate and its key from two files in PEM, and reads
// them again when they have changed.
type Certificate struct {
	certFile, keyFile string
	log               *zap.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   [2]stamp
}

// stamp tells one version of a file from the next. A Secret that is mounted
// changes by a link, so that the file behind it is another.
type stamp struct {
	changed time.Time
	size    int64
}

// NewCertificate reads both files; they have to be good at the start.
func NewCertificate(certFile, keyFile string, log *zap.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	stamps, err := c.stat()
	if err != nil {
		return nil, err
	}
	return c, c.load(stamps)
}

// Get returns the newest good one. While the files are bad, as in the middle of
// being written, the last good one goes on.
func (c *Certificate) Get() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps, err := c.stat()
	if err == nil && stamps != c.stamp {
		if err = c.load(stamps); err == nil {
			c.log.Info("certificate of the network port read again", zap.Time("not_after", c.current.Leaf.NotAfter))
		} else {
			c.stamp = stamps // told once; the next change is tried again
			c.log.Warn("the changed certificate of the network port cannot be used, the last one goes on", zap.Error(err))
		}
	}
	return c.current, nil
}

func (c *Certificate) stat() (stamps [2]stamp, err error) {
	for i, file := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return stamps, fmt.Errorf("read certificate of the network port: %w", err)
		}
		stamps[i] = stamp{info.ModTime(), info.Size()}
	}
	return stamps, nil
}

func (c *Certificate) load(stamps [2]stamp) error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read certificate %s and key %s: %w", c.certFile, c.keyFile, err)
	}
	c.current, c.stamp = &pair, stamps
	return nil
}
