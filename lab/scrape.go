package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// Scrape is what a process tells at /metrics: series, as in
// `name{label="value"}`, to value.
type Scrape map[string]float64

// Sum adds up the series of a metric that carry all labels, each given as in
// `label="value"`; 0 if there are none.
func (s Scrape) Sum(name string, labels ...string) float64 {
	var sum float64
	for series, value := range s {
		if base, _, _ := strings.Cut(series, "{"); base == name && containsAll(series, labels) {
			sum += value
		}
	}
	return sum
}

// scrapeFor bounds one scrape.
const scrapeFor = 5 * time.Second

// Scrape asks the sidecar for its metrics.
func (c *Sidecar) Scrape(ctx context.Context) (Scrape, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	s, err := scrape(ctx, client, c.URL()+"/metrics")
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", c.Name, err)
	}
	return s, nil
}

// Scrape asks the API server for its metrics, as its admin.
func (c *ControlPlane) Scrape(ctx context.Context) (Scrape, error) {
	client, err := rest.HTTPClientFor(c.Config())
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	defer client.CloseIdleConnections()
	s, err := scrape(ctx, client, c.URL()+"/metrics")
	if err != nil {
		return nil, fmt.Errorf("metrics of the API server: %w", err)
	}
	return s, nil
}

func scrape(ctx context.Context, client *http.Client, url string) (Scrape, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeFor)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", response.Status)
	}
	return readScrape(response.Body)
}

// readScrape reads the text format of Prometheus, without time stamps, which
// neither the sidecar nor the API server writes.
func readScrape(r io.Reader) (Scrape, error) {
	s := Scrape{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		// Values of labels may have blanks in them; a value never has.
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		value, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("parse %q: %w", line, err)
		}
		s[line[:i]] = value
	}
	return s, lines.Err()
}

// ByLabel adds up the series of a metric for each value of a label.
func (s Scrape) ByLabel(name, label string) map[string]float64 {
	sums := map[string]float64{}
	for series, value := range s {
		base, labels, _ := strings.Cut(series, "{")
		_, rest, there := strings.Cut(labels, label+`="`)
		if of, _, _ := strings.Cut(rest, `"`); base == name && there {
			sums[of] += value
		}
	}
	return sums
}
