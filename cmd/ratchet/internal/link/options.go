package link

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/private"
	"github.com/spf13/pflag"
)

// DefaultRoot is where everything lies unless somebody says otherwise.
const DefaultRoot = "ratchet/v1"

// Options say how to reach the broker. CA, Cert, Key and PasswordFile are files.
type Options struct {
	Broker, Username, PasswordFile, CA, Cert, Key, Root string
	Context                                             string                 // the name under which these are kept
	Password                                            func() (string, error) `json:"-"` // where no file has it; may be nil
}

// Fill gives values to the options that have none.
func (o *Options) Fill(broker, username, passwordFile, ca, cert, key, root string) {
	for to, value := range map[*string]string{&o.Broker: broker, &o.Username: username, &o.PasswordFile: passwordFile,
		&o.CA: ca, &o.Cert: cert, &o.Key: key, &o.Root: root} {
		if *to == "" {
			*to = value
		}
	}
}

type flag struct {
	to          *string
	name, usage string
}

func (o *Options) all() []flag {
	return []flag{
		{&o.Context, "context", "the broker of this `name`: see ratchet context"},
		{&o.Broker, "broker", "the broker's `URL`: tcp:// tls:// ws:// wss://"},
		{&o.Username, "username", "user name at the broker"},
		{&o.PasswordFile, "password-file", "`file` with the password"},
		{&o.CA, "ca", "`file` with the certificates that may have signed the broker's"},
		{&o.Cert, "cert", "`file` with the client certificate"},
		{&o.Key, "key", "`file` with the client certificate's key"},
		{&o.Root, "root", "`topic` under which everything lies; ratchet/v1 unless it is set"},
	}
}

// variable is the one in the environment that stands for a flag.
func (g flag) variable() string {
	return "RATCHET_" + strings.ToUpper(strings.ReplaceAll(g.name, "-", "_"))
}

// Flags adds the flags of the connection; each has a RATCHET_ variable as its default.
func (o *Options) Flags(f *pflag.FlagSet) {
	for _, g := range o.all() {
		f.StringVar(g.to, g.name, os.Getenv(g.variable()), g.usage+" ("+g.variable()+")")
	}
}

// DropVariables takes away what only the environment says: it is about another
// broker than one that was named.
func (o *Options) DropVariables() {
	for _, g := range o.all()[1:] {
		if *g.to == os.Getenv(g.variable()) {
			*g.to = ""
		}
	}
}

// Validate reports what no connection could be made with, by the name of its flag.
func (o *Options) Validate() error {
	if o.Broker == "" {
		return errors.New("no broker: say which with --broker URL or RATCHET_BROKER, or give it a name: ratchet context --help")
	}
	o.Broker = dialect.BrokerAddress(o.Broker)
	u, err := url.Parse(o.Broker)
	switch {
	case err != nil || u.Host == "" || !slices.Contains([]string{"tcp", "tls", "ws", "wss"}, u.Scheme):
		return fmt.Errorf("--broker %q: want an address such as tls://broker:8883, with %s", o.Broker, dialect.Schemes)
	case u.User != nil:
		return errors.New("--broker: no user or password in the URL: use --username and --password-file")
	case (o.Cert == "") != (o.Key == ""):
		return errors.New("--cert and --key belong together")
	case o.Root == "" || strings.ContainsAny(o.Root, "+#") || strings.HasSuffix(o.Root, "/"):
		return fmt.Errorf("--root %q: want a topic without + and #, such as ratchet/v1", o.Root)
	}
	return nil
}

func (o *Options) password() (string, error) {
	switch {
	case o.PasswordFile != "":
	case o.Password != nil:
		return o.Password()
	default:
		return "", nil
	}
	data, err := private.Read(o.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("reading the password: --password-file: %w", err)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

func (o *Options) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		pem, err := private.ReadPublic(o.CA)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca %s: no PEM certificate in it", o.CA)
		}
	}
	if o.Cert != "" {
		cert, err := private.ReadPublic(o.Cert)
		if err != nil {
			return nil, fmt.Errorf("--cert: %w", err)
		}
		key, err := private.Read(o.Key)
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("reading --cert and --key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// hint says what may be behind a refused connection, or nothing.
func (o *Options) hint(err error) string {
	if !errors.Is(err, packets.ErrorRefusedNotAuthorised) && !errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) {
		return ""
	}
	as := "nobody in particular"
	if o.Username != "" {
		as = o.Username
	}
	return fmt.Sprintf(": it does not let in %s: check --username, --password-file and --cert, or the context that has them", as)
}
