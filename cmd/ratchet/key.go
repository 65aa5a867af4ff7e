package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/signing"
	"github.com/spf13/cobra"
)

// keyCommands are those below `ratchet key`.
type keyCommands struct{ *session }

func (s keyCommands) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make keys that sign jobs, sign with them, verify",
		Long: `Key makes and uses the keys with which jobs are signed. Keys and signatures are
minisign's: the minisign program reads ours and we read its.

A key is protected by a passphrase, which is asked for without showing it, or
read from the file that RATCHET_PASSPHRASE_FILE names.`,
	}
	cmd.AddCommand(s.newCommand(), s.signCommand(), s.verifyCommand())
	return cmd
}

func (s keyCommands) newCommand() *cobra.Command {
	var bare bool
	cmd := &cobra.Command{
		Use:   "new FILE",
		Short: "Make a key: FILE, and FILE.pub for the devices",
		Long: `New makes a secret key and its public key beside it (jobs.key and jobs.pub).
The public one belongs into policy.keys of the devices; the secret one never does.
It takes a second and 1 GB of memory, as every use of the key will: that is what
makes guessing the passphrase slow.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.newKey(args[0], bare) },
	}
	cmd.Flags().BoolVar(&bare, "no-passphrase", false, "whoever reads the file can sign")
	return cmd
}

func (s keyCommands) newKey(file string, bare bool) error {
	key, public, err := signing.Create(file, bare)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "secret key  %s\npublic key  %s\nkey id      %s\n\nIn ratchet.toml of the devices:\n\n[policy]\nkeys = [%q]\n",
		file, public, key.ID(), key)
	return nil
}

func (s keyCommands) signCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "sign FILE --key KEY",
		Short: "Sign a file: FILE.minisig",
		Long: `Sign signs any file, as minisign -S does. A job is better signed while it is sent,
with submit --sign, which also gives it the expires and the audience it needs.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.signFile(args[0], key) },
	}
	cmd.Flags().StringVar(&key, "key", os.Getenv("RATCHET_SIGN"), "the secret key's `file` (RATCHET_SIGN)")
	return cmd
}

func (s keyCommands) signFile(file, key string) error {
	if key == "" {
		return usageError{errors.New("say with which key: --key FILE or RATCHET_SIGN")}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	secret, err := signing.Open(key)
	if err != nil {
		return err
	}
	to := file + ".minisig"
	if err := os.WriteFile(to, []byte(secret.Sign(text, file)), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s  signed by %s\n", to, secret.ID())
	return nil
}

func (s keyCommands) verifyCommand() *cobra.Command {
	var key, signature string
	cmd := &cobra.Command{
		Use:   "verify FILE --key PUBLIC",
		Short: "Check that a key signed a file",
		Args:  cobra.ExactArgs(1),
		RunE:  func(_ *cobra.Command, args []string) error { return s.verifyFile(args[0], key, signature) },
	}
	cmd.Flags().StringVar(&key, "key", "", "the public `key`: its file or RW...")
	cmd.Flags().StringVar(&signature, "signature", "", "the signature's `file` (FILE.minisig)")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

func (s keyCommands) verifyFile(file, key, signature string) error {
	public, err := signing.ReadPublic(key)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if signature == "" {
		signature = file + ".minisig"
	}
	made, err := os.ReadFile(signature)
	if err != nil {
		return fmt.Errorf("reading the signature: %w", err)
	}
	comment, ok := public.Verify(text, made)
	if !ok {
		return fmt.Errorf("%s: key %s did not sign this", file, public.ID())
	}
	fmt.Fprintf(s.out, "%s  signed by %s (%s)\n", file, public.ID(), screen.Line(comment))
	return nil
}
