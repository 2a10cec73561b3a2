package control

import (
	"context"
	"fmt"
	"net/http"
)

// Asker asks one sidecar for permits, again and again over one connection.
type Asker struct{ client *http.Client }

// NewAsker asks the sidecar whose socket is at path, which need not be there yet.
func NewAsker(path string) *Asker {
	return &Asker{client: &http.Client{Transport: &http.Transport{DialContext: dial(path), MaxIdleConns: 1}}}
}

// Ask asks once; ctx bounds it.
func (a *Asker) Ask(ctx context.Context, req PermitRequest) (Permit, error) {
	var p Permit
	req.Format = PermitFormat
	if err := call(ctx, a.client, http.MethodPost, PermitPath, req, &p); err != nil {
		return Permit{}, err
	}
	if p.Format != PermitFormat {
		return Permit{}, fmt.Errorf("the sidecar answers in format %d, this program reads %d", p.Format, PermitFormat)
	}
	return p, nil
}
