package intake

import "testing"

func TestOnlyALifeThatAURLCanHaveIsWaitedFor(t *testing.T) {
	for query, want := range map[string]string{
		"?X-Amz-Expires=3600&a=b": "3600", "?a=b&X-Amz-Expires=604800": "604800",
		"?X-Amz-Expires=0": "", "?X-Amz-Expires=99999999999999": "", "?x=1": "",
	} {
		got := ""
		if found := presigned.FindStringSubmatch(`{"url":"https://h/f` + query + `"}`); found != nil {
			got = found[1]
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}
