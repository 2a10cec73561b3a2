package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/rest"
)

// ErrRefused is returned by Create for an object that the API server does not
// take, with its message.
var ErrRefused = errors.New("refused")

// Create creates one object, given as YAML or JSON, as "kubectl create
// --validate=strict" does: a field that the API server does not know is an error.
// With dryRun everything is checked, by admission too, and nothing is kept. An
// object without a namespace goes into the one given. It returns the object as
// the API server would keep it, JSON.
func (c *ControlPlane) Create(ctx context.Context, object []byte, namespace string, dryRun bool) ([]byte, error) {
	var content map[string]any
	if err := yaml.Unmarshal(object, &content); err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	path, err := collection(content, namespace)
	if err != nil {
		return nil, err
	}
	query := url.Values{"fieldValidation": {"Strict"}, "fieldManager": {"lab"}}
	if dryRun {
		query.Set("dryRun", "All")
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("create object: %w", err)
	}
	client, err := rest.HTTPClientFor(c.Config())
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL()+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("create object: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("create object: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("create object: %w", err)
	}
	if response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("%w: %s: %s", ErrRefused, response.Status, answer)
	}
	return answer, nil
}

// collection is the path to which an object is posted. The kinds of the lab form
// their plural by an s.
func collection(object map[string]any, namespace string) (string, error) {
	kind, _ := object["kind"].(string)
	version, _ := object["apiVersion"].(string)
	if kind == "" || version == "" {
		return "", errors.New("read object: it has no kind or no apiVersion")
	}
	path := "/apis/" + version
	if !strings.Contains(version, "/") {
		path = "/api/" + version
	}
	switch kind {
	case "Namespace", "CustomResourceDefinition":
	default:
		metadata, _ := object["metadata"].(map[string]any)
		if own, _ := metadata["namespace"].(string); own != "" {
			namespace = own
		}
		path += "/namespaces/" + namespace
	}
	return path + "/" + strings.ToLower(kind) + "s", nil
}
