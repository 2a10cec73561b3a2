package zookeeper

import (
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
)

// defaultPort is ZooKeeper's for clients.
const defaultPort = "2181"

// ParseQuorum reads a connection string as ZooKeeper's own client does:
// "host:port,host:port/chroot". A port may be missing, IPv6 addresses stand in
// brackets; chroot is empty if there is none.
func ParseQuorum(text string) (servers []string, chroot string, err error) {
	hosts := text
	if i := strings.IndexByte(text, '/'); i >= 0 {
		hosts, chroot = text[:i], text[i:]
	}
	if chroot, err = cleanPath(chroot); err != nil {
		return nil, "", fmt.Errorf("chroot of %q: %w", text, err)
	}
	for server := range strings.SplitSeq(hosts, ",") {
		server = strings.TrimSpace(server)
		if server == "" {
			continue
		}
		host, port, err := net.SplitHostPort(server)
		if err != nil { // no port
			host, port = strings.Trim(server, "[]"), defaultPort
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
			return nil, "", fmt.Errorf("%q of %q is not host:port", server, text)
		}
		servers = append(servers, net.JoinHostPort(host, port))
	}
	if len(servers) == 0 {
		return nil, "", fmt.Errorf("%q names no server", text)
	}
	return servers, chroot, nil
}

// ClusterPath joins chroot, root and cluster id as Flink does (ZooKeeperUtils),
// which takes each with slashes around it or without.
func ClusterPath(chroot, root, clusterID string) (string, error) {
	joined, err := cleanPath(strings.Join([]string{chroot, root, clusterID}, "/"))
	if err == nil && joined == "" {
		err = errors.New("it is the root of the store")
	}
	if err != nil {
		return "", fmt.Errorf("path of root %q and cluster id %q: %w", root, clusterID, err)
	}
	return joined, nil
}

// cleanPath joins doubled slashes and drops the last one; "/" becomes "".
func cleanPath(p string) (string, error) {
	for _, part := range strings.Split(p, "/") {
		if part == "." || part == ".." {
			return "", fmt.Errorf("%q is no name of a node", part)
		}
	}
	if slices.ContainsFunc([]byte(p), func(c byte) bool { return c < ' ' || c == 0x7f }) {
		return "", errors.New("it holds a control character")
	}
	if p = path.Clean("/" + p); p == "/" {
		return "", nil
	}
	return p, nil
}
