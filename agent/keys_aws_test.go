package agent

import (
	"fmt"
	"strings"
	"testing"

	"aead.dev/minisign"
)

// AWS hands out one job after another, so none that a new key signed can come
// while the change is on trial: the proof comes along with it.
func TestOnAWSAKeyRotationBringsItsProofAlong(t *testing.T) {
	was, next := newSigner(t), newSigner(t)
	service, d := newAWS(t, "")
	d.write("ratchet.toml", readAll(t, d.dir+"/ratchet.toml")+owned(was))
	d.start()
	rotate := func(id string, sequence int, signed string, prover signer) {
		j := keysDoc(id, sequence, "20s", next)
		keys := j["steps"].([]any)[0].(map[string]any)["keys"].(map[string]any)
		if signed != "" {
			keys["proof"] = string(minisign.Sign(prover.private, []byte(signed)))
		}
		create(t, service, id, was.sign(j))
	}
	text := func(sequence int) string { return fmt.Sprintf("keys %d\n%s\n", sequence, next.key) }
	rotate("bare", 1, "", next)
	rotate("other", 1, text(1), was)
	rotate("older", 2, text(1), next)
	for _, id := range []string{"bare", "other", "older"} {
		if e := ends(t, service, id); e.Status != "REJECTED" || !strings.Contains(fmt.Sprint(e.Details), "proof: ") {
			t.Errorf("%s: got %s, %v, want REJECTED for its proof", id, e.Status, e.Details)
		}
	}
	rotate("good", 1, text(1), next)
	if e := ends(t, service, "good"); e.Status != "SUCCEEDED" {
		t.Errorf("got %s, %v, want SUCCEEDED", e.Status, e.Details)
	}
	d.counts(next)
	create(t, service, "after", next.sign(doc("after", d.dir+"/ran", "after")))
	if e := ends(t, service, "after"); e.Status != "SUCCEEDED" {
		t.Errorf("a job of the new key: got %s, %v, want SUCCEEDED", e.Status, e.Details)
	}
}
