package main

import (
	"errors"
	"fmt"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/settings"
	"github.com/spf13/cobra"
)

func (s *session) contextCommand() *cobra.Command {
	var g listFlags
	cmd := &cobra.Command{
		Use:   "context",
		Short: "List the brokers that have a name, and choose one",
		Long: `Context lists the brokers of ~/.config/ratchet/config.toml (RATCHET_CONFIG names
another file). The current one counts where neither a flag nor a variable says
another; --context or RATCHET_CONTEXT names one for one command.

  current = "shop"
  [contexts.shop]
  broker = "tls://broker.example:8883"
  username = "operator"
  passwordFile = "shop.password"             # or:
  passwordCommand = ["pass", "show", "shop"] # its first line is the password
  ca = "shop-ca.pem"                         # beside this file; cert, key, root alike`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return s.contexts(g) },
	}
	g.flags(cmd.Flags())
	cmd.AddCommand(&cobra.Command{
		Use:   "use NAME",
		Short: "Make a context the current one",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := settings.Read()
			if err == nil {
				err = f.Use(args[0])
			}
			return err
		},
		ValidArgsFunction: completeContexts,
	})
	return cmd
}

func completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	f, _ := settings.Read() // a completion says nothing about what goes wrong
	return f.Names(), cobra.ShellCompDirectiveNoFileComp
}

// A contextLine is one context in the list.
type contextLine struct {
	Name    string `json:"name"`
	Current bool   `json:"current"`
	settings.Context
}

func (s *session) contexts(g listFlags) error {
	f, err := settings.Read()
	if err != nil {
		return err
	}
	if len(f.Contexts) == 0 {
		return fmt.Errorf("no contexts: there are none in %s; 'ratchet context --help' shows one", f.Path)
	}
	var lines []contextLine
	for _, name := range f.Names() {
		lines = append(lines, contextLine{name, name == f.Current, f.Contexts[name]})
	}
	return list(s, g, lines, []string{"CONTEXT", "CURRENT", "BROKER", "USER", "ROOT"}, func(l contextLine) []any {
		mark := ""
		if l.Current {
			mark = "*"
		}
		return []any{l.Name, mark, l.Broker, l.Username, l.Root}
	}, "")
}

// complete fills what flags and variables leave open of the connection with what
// the context says. A broker that is named by itself gets nothing of a context, nor
// a context's broker the password of another.
func (s *session) complete() error {
	if s.link.Context == "" && s.link.Broker != "" {
		return nil
	}
	f, err := settings.Read()
	if err != nil {
		return err
	}
	c, err := f.Find(s.link.Context)
	if err != nil {
		return usageError{err}
	}
	if c.Broker == "" {
		return nil
	}
	s.link.DropVariables()
	if s.link.Broker != "" && s.link.Broker != c.Broker {
		return usageError{errors.New("--context and --broker name two brokers: say one")}
	}
	s.link.Fill(c.Broker, c.Username, c.PasswordFile, c.CA, c.Cert, c.Key, c.Root)
	if len(c.PasswordCommand) > 0 && s.link.PasswordFile == "" {
		s.link.Password = c.Password
	}
	return nil
}
