package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"aead.dev/minisign"
	"github.com/spf13/cobra"
)

func (s *session) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make keys that sign jobs, sign with them, verify",
		Long: `Key makes and uses the keys with which jobs are signed. Keys and signatures are
minisign's: the minisign program reads ours and we read its.

A key is protected by a passphrase, which is asked for without showing it, or
read from the file that RATCHET_PASSPHRASE_FILE names.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.keyNewCommand(), s.keySignCommand(), s.keyVerifyCommand())
	return cmd
}

func (s *session) keyNewCommand() *cobra.Command {
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

func (s *session) newKey(file string, bare bool) error {
	public := strings.TrimSuffix(file, ".key") + ".pub"
	for _, f := range []string{file, public} {
		if _, err := os.Lstat(f); err == nil {
			return fmt.Errorf("%s is there already: choose another name, or move it away", f)
		}
	}
	pub, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	secret, err := s.seal(private, bare)
	if err != nil {
		return err
	}
	text, err := pub.MarshalText()
	if err != nil {
		return err
	}
	if err := writeNew(file, secret, 0o600); err != nil {
		return err
	}
	if err := writeNew(public, append(text, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "secret key  %s\npublic key  %s\nkey id      %016X\n\nIn ratchet.toml of the devices:\n\n[policy]\nkeys = [%q]\n",
		file, public, pub.ID(), pub)
	return nil
}

func (s *session) seal(private minisign.PrivateKey, bare bool) ([]byte, error) {
	if bare {
		return private.MarshalText()
	}
	word, err := s.passphrase("passphrase for the new key: ", true)
	if err == nil && word == "" {
		err = errors.New("the passphrase is empty: choose one, or say --no-passphrase")
	}
	if err != nil {
		return nil, err
	}
	return minisign.EncryptKey(word, private)
}

func writeNew(file string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("writing the key: %w", err)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func (s *session) keySignCommand() *cobra.Command {
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

func (s *session) signFile(file, key string) error {
	if key == "" {
		return usageError{errors.New("say with which key: --key FILE or RATCHET_SIGN")}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	private, err := s.openKey(key)
	if err != nil {
		return err
	}
	to := file + ".minisig"
	if err := os.WriteFile(to, []byte(sign(private, text, file)), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s  signed by %016X\n", to, private.ID())
	return nil
}

func (s *session) keyVerifyCommand() *cobra.Command {
	var key, signature string
	cmd := &cobra.Command{
		Use:   "verify FILE --key PUBLIC",
		Short: "Tell whether a key signed a file",
		Args:  cobra.ExactArgs(1),
		RunE:  func(_ *cobra.Command, args []string) error { return s.verifyFile(args[0], key, signature) },
	}
	cmd.Flags().StringVar(&key, "key", "", "the public `key`: its file or RW...")
	cmd.Flags().StringVar(&signature, "signature", "", "the signature's `file` (FILE.minisig)")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

func (s *session) verifyFile(file, key, signature string) error {
	public, err := publicKey(key)
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
	if !minisign.Verify(public, text, made) {
		return fmt.Errorf("%s: key %016X did not sign this", file, public.ID())
	}
	var note minisign.Signature
	_ = note.UnmarshalText(made) // Verify has read it
	fmt.Fprintf(s.out, "%s  signed by %016X (%s)\n", file, public.ID(), printable(note.TrustedComment))
	return nil
}

// publicKey is the key in a file, or the key itself.
func publicKey(key string) (public minisign.PublicKey, err error) {
	text := []byte(key)
	if !strings.HasPrefix(key, "RW") {
		if text, err = os.ReadFile(key); err != nil {
			return public, fmt.Errorf("reading the public key: %w", err)
		}
	}
	if err := public.UnmarshalText(text); err != nil {
		return public, fmt.Errorf("%s: no minisign public key: %w", key, err)
	}
	return public, nil
}
