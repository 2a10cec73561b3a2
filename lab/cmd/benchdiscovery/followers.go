package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"

	"crypto/tls"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"flink-ha-sidecar/discovery/follow"
)

// follower follows until it is cut off; knows is called with the session of each
// leader, once.
type follower func(ctx context.Context, knows func(session string)) error

// follower returns what each of the crowd does.
func (c *crowd) follower() (follower, error) {
	if c.Kind == "sidecar" {
		return c.bySidecar, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.KubeConfig)
	if err != nil {
		return nil, err
	}
	settings, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, err
	}
	settings.NextProtos = []string{"http/1.1"}
	api := &api{crowd: c, host: config.Host, token: config.BearerToken, tls: settings}
	switch c.Kind {
	case "poll":
		return api.poll, nil
	case "lock":
		return func(ctx context.Context, knows func(string)) error { return api.watch(ctx, c.Lock, inLock, knows) }, nil
	case "published":
		return func(ctx context.Context, knows func(string)) error {
			return api.watch(ctx, c.Published, inPublished, knows)
		}, nil
	}
	return nil, fmt.Errorf("followers of kind %q", c.Kind)
}

// bySidecar is what "flink-ha follow" does.
func (c *crowd) bySidecar(ctx context.Context, knows func(string)) error {
	last := ""
	s := &follow.Sidecars{List: c.Sidecars, Dial: c.dial}
	return s.Run(ctx, func(n follow.News) {
		if n.Leader.Known() && n.Leader.Session != last {
			last = n.Leader.Session
			knows(last)
		}
	})
}

// api is a follower's way to the API server, with a connection of its own. Answers
// are JSON, as Flink's client asks for, and only searched, so that the crowd costs
// little.
type api struct {
	*crowd
	host, token string
	tls         *tls.Config
}

// marks are what stands before and behind a leader's session.
type marks struct{ before, behind []byte }

var (
	inLock      = marks{[]byte(`"` + leaderKey + `resourcemanager":"`), []byte(`,`)} // what TaskManagers look for
	inPublished = marks{[]byte(`"session":"`), []byte(`"`)}
)

func (m marks) find(text []byte) string {
	_, rest, found := bytes.Cut(text, m.before)
	session, _, closed := bytes.Cut(rest, m.behind)
	if !found || !closed {
		return ""
	}
	return string(session)
}

func (a *api) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: a.dial, TLSClientConfig: a.tls.Clone(), MaxConnsPerHost: 1, DisableCompression: true}}
}

func (a *api) get(ctx context.Context, client *http.Client, path string, query url.Values) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.host+"/api/v1/namespaces/default/configmaps"+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, errors.New(response.Status)
	}
	return response, nil
}

// read gets the object once.
func (a *api) read(ctx context.Context, client *http.Client, name string) ([]byte, error) {
	response, err := a.get(ctx, client, "/"+name, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// poll reads the lock every 5 s, the first time after a part of that.
func (a *api) poll(ctx context.Context, knows func(string)) error {
	client := a.client()
	defer client.CloseIdleConnections()
	last := ""
	for pause := rand.N(pollEvery); ; pause = pollEvery {
		text, err := a.read(ctx, client, a.Lock)
		if err != nil {
			return err
		}
		if s := inLock.find(text); s != "" && s != last {
			last = s
			knows(s)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// watch reads the object and then every version of it.
func (a *api) watch(ctx context.Context, name string, m marks, knows func(string)) error {
	client := a.client()
	defer client.CloseIdleConnections()
	text, err := a.read(ctx, client, name)
	if err != nil {
		return err
	}
	version := marks{[]byte(`"resourceVersion":"`), []byte(`"`)}.find(text)
	last := ""
	tell := func(text []byte) {
		if s := m.find(text); s != "" && s != last {
			last = s
			knows(s)
		}
	}
	tell(text)
	response, err := a.get(ctx, client, "", url.Values{
		"watch": {"1"}, "fieldSelector": {"metadata.name=" + name}, "resourceVersion": {version}, "timeoutSeconds": {"3600"},
	})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	events := bufio.NewReaderSize(response.Body, 8<<10)
	for {
		event, err := events.ReadBytes('\n')
		if err != nil {
			return err
		}
		tell(event)
	}
}
