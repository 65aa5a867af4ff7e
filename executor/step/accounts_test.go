package step

import (
	"os/user"
	"reflect"
	"slices"
	"strconv"
	"testing"
)

// TestAccountsAreWhatGoReads: a device's own files, read as os/user reads them.
func TestAccountsAreWhatGoReads(t *testing.T) {
	lines, err := accountLines(passwdFile, 6)
	if err != nil || len(lines) == 0 {
		t.Skipf("no users here: %v", err)
	}
	for _, l := range lines {
		want, err := user.LookupId(l[2])
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{want.Username, want.Uid} {
			got, err := lookupUser(name)
			if uid, gid := strconv.Itoa(int(got.uid)), strconv.Itoa(int(got.gid)); err != nil ||
				got.name != want.Username || got.home != want.HomeDir || uid != want.Uid || gid != want.Gid {
				t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
			}
			wantGroups, err := want.GroupIds()
			if err != nil {
				t.Fatal(err)
			}
			if groups := groupNumbers(t, got); !slices.Equal(groups, slices.Sorted(slices.Values(wantGroups))) {
				t.Errorf("%s: got groups %v, want %v", name, groups, wantGroups)
			}
		}
		if got := accountName(passwdFile, accountID(l)); got != want.Username {
			t.Errorf("user %s: got name %q, want %q", l[2], got, want.Username)
		}
	}
}

func groupNumbers(t *testing.T, a account) []string {
	t.Helper()
	ids, err := a.groups()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, id := range ids {
		all = append(all, strconv.Itoa(int(id)))
	}
	slices.Sort(all)
	return all
}

func TestAGroupIsFoundByItsName(t *testing.T) {
	lines, err := accountLines(groupFile, 3)
	if err != nil || len(lines) == 0 {
		t.Skipf("no groups here: %v", err)
	}
	for _, l := range lines {
		want, err := user.LookupGroup(l[0])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := lookupGroup(l[0]); err != nil || strconv.Itoa(int(got)) != want.Gid {
			t.Errorf("%s: got %d, %v, want %s", l[0], got, err, want.Gid)
		}
	}
}

// TestOddLinesNameNobody: a broken line must not make somebody root.
func TestOddLinesNameNobody(t *testing.T) {
	const text = "# a comment:x:0:0::/:\n\nroot\n:x:0:0::/:\n+::0:0:::\n-him:x:0:0::/:\n" +
		"alice:x:one:0::/:\nbob:x:-1:0::/:\ncarol:x:4294967296:0::/:\ndave:x:7\n" +
		" erin:x:1000:1000:Erin:/home/erin:/bin/sh \r\nfrank:x:1001:1001::/home/frank:/bin/sh"
	got := parseAccounts(text, 6)
	want := [][]string{
		{"erin", "x", "1000", "1000", "Erin", "/home/erin", "/bin/sh"},
		{"frank", "x", "1001", "1001", "", "/home/frank", "/bin/sh"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestANameComesBeforeANumber: a user may be called as another is numbered.
func TestANameComesBeforeANumber(t *testing.T) {
	lines := parseAccounts("a:x:7:7::/a:\n7:x:8:8::/b:\n", 6)
	if got := findAccount(lines, "7"); got == nil || got[2] != "8" {
		t.Errorf("got %q, want the one of that name", got)
	}
	if got := findAccount(lines, "8"); got == nil || got[0] != "7" {
		t.Errorf("got %q, want the one of that number", got)
	}
}
