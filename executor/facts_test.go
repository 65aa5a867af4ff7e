package executor

import "testing"

func TestAnExpressionThatLooksForFactsInTheWrongPlaceIsTold(t *testing.T) {
	for expr, want := range map[string]struct{ facts, all bool }{
		`.facts.tags.site == "berlin"`:     {facts: true},
		`.tags.site == "berlin"`:           {all: true},
		`any(.facts.groups[]; . == "lab")`: {facts: true},
		`any(.groups[]; . == "lab")`:       {all: true},
		`.custom.facts == 1`:               {all: true},
		`.health.memory.percent < 90`:      {},
		`.steps.board.output == "x"`:       {},
		`.vars.device == "x"`:              {},
		`.facts | .tags.site == "berlin"`:  {facts: true},
		`.alert.value.packages == 1`:       {},
		`.factsheet == 1`:                  {},
		`.vars["x"].tags == 1`:             {},
		`(.vars).tags == 1`:                {},
		``:                                 {},
	} {
		if got := OfFacts(expr) != ""; got != want.facts {
			t.Errorf("%s: over the facts: got a hint %v, want %v", expr, got, want.facts)
		}
		if got := OfAll(expr) != ""; got != want.all {
			t.Errorf("%s: over all: got a hint %v, want %v", expr, got, want.all)
		}
	}
}
