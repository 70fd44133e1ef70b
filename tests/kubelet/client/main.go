// What kubelet does with a credential provider, from its configuration to the credential of an image, after kubernetes
// pkg/credentialprovider/keyring.go and pkg/credentialprovider/plugin/{config,plugin}.go: client CONFIG BIN_DIR, with a line of JSON for
// each request on stdin; a line of JSON for each on stdout.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

const apiVersion = "credentialprovider.kubelet.k8s.io/v1"

type typeMeta struct {
	Kind       string `json:"kind,omitempty"`
	APIVersion string `json:"apiVersion,omitempty"`
}

// duration is metav1.Duration: a text that time.ParseDuration reads.
type duration struct{ time.Duration }

func (d *duration) UnmarshalJSON(data []byte) (err error) {
	var text string
	if err = json.Unmarshal(data, &text); err == nil {
		d.Duration, err = time.ParseDuration(text)
	}
	return err
}

type config struct {
	typeMeta  `json:",inline"`
	Providers []provider `json:"providers"`
}

type provider struct {
	Name                 string           `json:"name"`
	MatchImages          []string         `json:"matchImages"`
	DefaultCacheDuration *duration        `json:"defaultCacheDuration"`
	APIVersion           string           `json:"apiVersion"`
	Args                 []string         `json:"args,omitempty"`
	Env                  []envVar         `json:"env,omitempty"`
	TokenAttributes      *tokenAttributes `json:"tokenAttributes,omitempty"`
}

type envVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type tokenAttributes struct {
	ServiceAccountTokenAudience          string   `json:"serviceAccountTokenAudience"`
	CacheType                            string   `json:"cacheType,omitempty"`
	RequireServiceAccount                *bool    `json:"requireServiceAccount"`
	RequiredServiceAccountAnnotationKeys []string `json:"requiredServiceAccountAnnotationKeys,omitempty"`
	OptionalServiceAccountAnnotationKeys []string `json:"optionalServiceAccountAnnotationKeys,omitempty"`
}

type request struct {
	typeMeta                  `json:",inline"`
	Image                     string            `json:"image"`
	ServiceAccountToken       string            `json:"serviceAccountToken,omitempty"`
	ServiceAccountAnnotations map[string]string `json:"serviceAccountAnnotations,omitempty"`
}

type response struct {
	typeMeta      `json:",inline"`
	CacheKeyType  string                `json:"cacheKeyType"`
	CacheDuration *duration             `json:"cacheDuration,omitempty"`
	Auth          map[string]authConfig `json:"auth,omitempty"`
}

type authConfig struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// found is what is told of one request.
type found struct {
	Asked    bool         `json:"asked"`
	Error    string       `json:"error"`
	CacheKey string       `json:"cacheKey"`
	Seconds  float64      `json:"seconds"`
	Auth     []authConfig `json:"auth"`
}

// strict decodes as kubelet's codecs do with serializer.EnableStrict.
func strict(data []byte, into interface{}) error {
	problems, err := kjson.UnmarshalStrict(data, into)
	if err == nil && len(problems) > 0 {
		err = fmt.Errorf("%v", problems)
	}
	return err
}

func readConfig(file string) (*config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if data, err = yaml.YAMLToJSONStrict(data); err != nil {
		return nil, err
	}
	all := &config{}
	if err = strict(data, all); err != nil {
		return nil, err
	}
	if all.APIVersion != "kubelet.config.k8s.io/v1" || all.Kind != "CredentialProviderConfig" || len(all.Providers) == 0 {
		return nil, fmt.Errorf("not a configuration of providers: %+v", all.typeMeta)
	}
	for _, p := range all.Providers {
		switch {
		case p.Name == "." || p.Name == ".." || strings.ContainsAny(p.Name, "/ "):
			return nil, fmt.Errorf("name %q", p.Name)
		case p.APIVersion != apiVersion:
			return nil, fmt.Errorf("apiVersion %q", p.APIVersion)
		case len(p.MatchImages) == 0 || p.DefaultCacheDuration == nil || p.DefaultCacheDuration.Duration < 0:
			return nil, errors.New("matchImages and defaultCacheDuration are required")
		}
		for _, image := range p.MatchImages {
			if _, err := parse(image); err != nil {
				return nil, err
			}
		}
		if t := p.TokenAttributes; t != nil {
			isType := t.CacheType == "Token" || t.CacheType == "ServiceAccount"
			if t.ServiceAccountTokenAudience == "" || t.RequireServiceAccount == nil || !isType ||
				(!*t.RequireServiceAccount && len(t.RequiredServiceAccountAnnotationKeys) > 0) {
				return nil, fmt.Errorf("tokenAttributes %+v", t)
			}
		}
	}
	return all, nil
}

func parse(schemeless string) (*url.URL, error) {
	return url.Parse("https://" + schemeless)
}

func split(u *url.URL) ([]string, string) {
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		host, port = u.Host, ""
	}
	return strings.Split(host, "."), port
}

// urlsMatch is kubelet's URLsMatchStr.
func urlsMatch(glob, target string) bool {
	globURL, err := parse(glob)
	if err != nil {
		return false
	}
	targetURL, err := parse(target)
	if err != nil {
		return false
	}
	globParts, globPort := split(globURL)
	targetParts, targetPort := split(targetURL)
	if globPort != targetPort || len(globParts) != len(targetParts) || !strings.HasPrefix(targetURL.Path, globURL.Path) {
		return false
	}
	for at, part := range globParts {
		if matched, err := filepath.Match(part, targetParts[at]); err != nil || !matched {
			return false
		}
	}
	return true
}

// lookup is what BasicDockerKeyring does in Add and Lookup.
func lookup(auth map[string]authConfig, image string) []authConfig {
	credentials := map[string][]authConfig{}
	for key, credential := range auth {
		parsed, err := parse(key)
		if err != nil {
			continue
		}
		path := parsed.Path
		if strings.HasPrefix(path, "/v2/") || strings.HasPrefix(path, "/v1/") {
			path = path[3:]
		}
		if path == "/" {
			path = ""
		}
		credentials[parsed.Host+path] = append(credentials[parsed.Host+path], credential)
	}
	var index []string
	for key := range credentials {
		index = append(index, key)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(index)))
	var all []authConfig
	for _, key := range index {
		if urlsMatch(key, image) {
			all = append(all, credentials[key]...)
		}
	}
	return all
}

// run is execPlugin.ExecPlugin.
func run(p provider, folder string, asked request) (*response, error) {
	asked.typeMeta = typeMeta{Kind: "CredentialProviderRequest", APIVersion: apiVersion}
	data, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, filepath.Join(folder, p.Name), p.Args...)
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(data), &stdout, &stderr
	command.Env = os.Environ()
	for _, variable := range p.Env {
		command.Env = append(command.Env, variable.Name+"="+variable.Value)
	}
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	answer := &response{}
	if err := strict(stdout.Bytes(), answer); err != nil {
		return nil, err
	}
	if answer.APIVersion != p.APIVersion || answer.Kind != "CredentialProviderResponse" {
		return nil, fmt.Errorf("%+v", answer.typeMeta)
	}
	return answer, nil
}

func ask(p provider, folder string, asked request) (told found) {
	for _, image := range p.MatchImages {
		told.Asked = told.Asked || urlsMatch(image, asked.Image)
	}
	if !told.Asked {
		return told
	}
	answer, err := run(p, folder, asked)
	if err != nil {
		told.Error = err.Error()
		return told
	}
	switch answer.CacheKeyType {
	case "Image":
		told.CacheKey = asked.Image
	case "Registry":
		told.CacheKey = strings.Split(asked.Image, "/")[0]
	case "Global":
		told.CacheKey = "global"
	default:
		told.Error = "no valid cacheKeyType"
		return told
	}
	kept := p.DefaultCacheDuration.Duration
	if answer.CacheDuration != nil {
		kept = answer.CacheDuration.Duration
	}
	told.Seconds, told.Auth = kept.Seconds(), lookup(answer.Auth, asked.Image)
	return told
}

func main() {
	all, err := readConfig(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		asked := request{}
		if err := strict(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := json.NewEncoder(os.Stdout).Encode(ask(all.Providers[0], os.Args[2], asked)); err != nil {
			os.Exit(1)
		}
	}
}
