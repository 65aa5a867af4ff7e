// Package screen is where the tool writes. Whatever devices and brokers have a
// hand in becomes printable here: it can move no cursor, hide nothing and begin
// no line of its own. Nothing else in the tool writes to a terminal.
package screen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// A Screen is standard output, standard error or a terminal.
type Screen struct {
	out     io.Writer
	drawn   int    // lines of the picture that stands there
	picture string // the last one
}

// On returns a screen that writes to out.
func On(out io.Writer) *Screen { return &Screen{out: out} }

// Write writes text of which every character is printable, a tab or a line's
// end; others are replaced.
func (s *Screen) Write(text []byte) (int, error) {
	if _, err := s.out.Write(printable(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// JSON writes a value and a line's end. What is not printable stands there as an
// escape of JSON's, so that nothing is lost.
func (s *Screen) JSON(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = s.out.Write(append(escaped(text), '\n'))
	return err
}

// JSONList writes a list as one indented array.
func JSONList[T any](s *Screen, list []T) error {
	between := "["
	for _, v := range list {
		text, err := json.MarshalIndent(v, "  ", "  ")
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(s.out, "%s\n  %s", between, escaped(text)); err != nil {
			return err
		}
		between = ","
	}
	end := "\n]\n"
	if len(list) == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(s.out, end)
	return err
}

// Exact writes JSON to the byte and a line's end, for whoever sends it later. On
// a terminal it is as JSON writes it.
func (s *Screen) Exact(text []byte) error {
	if _, _, ok := s.Size(); ok {
		text = escaped(text)
	}
	_, err := s.out.Write(append(bytes.Clone(text), '\n'))
	return err
}

// Size is the terminal's, in characters. It is false where the screen is no
// terminal that can be drawn on.
func (s *Screen) Size() (width, height int, ok bool) {
	f, isFile := s.out.(*os.File)
	if !isFile || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 || height < 4 {
		return 80, 24, true
	}
	return width, height, true
}

// Width is how many characters fit on a line of a list: the terminal's, or what
// COLUMNS says. It is 0 where nothing bounds it, as in a file.
func (s *Screen) Width() int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if width, _, ok := s.Size(); ok {
		return width
	}
	return 0
}

// A Colour is one of the terminal's own.
type Colour string

// Colours that people know the meaning of; without one a text is as it is.
const (
	Plain  Colour = ""
	Red    Colour = "31"
	Green  Colour = "32"
	Yellow Colour = "33"
	Cyan   Colour = "36"
	Grey   Colour = "90"
)

// A Span is a text in one colour.
type Span struct {
	Text   string
	Colour Colour
}

// Draw shows a picture, a list of spans for each line, in the place of the last.
// NO_COLOR in the environment takes the colours away.
func (s *Screen) Draw(picture [][]Span) {
	var b strings.Builder
	for _, line := range picture {
		for _, span := range line {
			text := Line(span.Text)
			if span.Colour != Plain && os.Getenv("NO_COLOR") == "" {
				text = "\x1b[" + string(span.Colour) + "m" + text + "\x1b[0m"
			}
			b.WriteString(text)
		}
		b.WriteByte('\n')
	}
	if b.String() == s.picture || len(picture) == 0 {
		return
	}
	_, _ = io.WriteString(s.out, s.erase()+b.String())
	s.drawn, s.picture = len(picture), b.String()
}

// Above writes a line that stays, above the picture.
func (s *Screen) Above(text string) {
	_, _ = io.WriteString(s.out, s.erase()+Line(text)+"\n")
	s.drawn, s.picture = 0, ""
}

// erase takes the picture off the screen.
func (s *Screen) erase() string {
	if s.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", s.drawn)
}
