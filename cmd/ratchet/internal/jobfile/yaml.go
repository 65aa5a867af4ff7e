package jobfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"go.yaml.in/yaml/v3"
)

// maxDepth bounds how deep a document nests; an anchor can hold itself.
const maxDepth = 64

// FromYAML turns one YAML document into JSON, and returns the line of each field
// by its path, such as steps[0].command. No value changes on the way: a number
// keeps its digits, and what YAML reads as something else than it looks like is
// an error.
func FromYAML(text []byte) ([]byte, map[string]int, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil, errors.New("the file is empty")
	} else if err != nil {
		return nil, nil, yamlSyntax(err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, nil, problem{more.Line, "a second YAML document: want one job a file"}
	}
	c := yamlConverter{lines: map[string]int{}}
	err := c.node(doc.Content[0], "", 0)
	return c.out.Bytes(), c.lines, err
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (?s)(.*)$`)

func yamlSyntax(err error) error {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		return problem{line, "not YAML: " + m[2]}
	}
	return problem{0, "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
}

type yamlConverter struct {
	out   bytes.Buffer
	lines map[string]int
}

func (c *yamlConverter) node(n *yaml.Node, path string, depth int) error {
	if _, ok := c.lines[path]; !ok {
		c.lines[path] = n.Line
	}
	switch {
	case depth > maxDepth:
		return problem{n.Line, fmt.Sprintf("nested more than %d deep", maxDepth)}
	case c.out.Len() > executor.MaxDocument:
		return problem{n.Line, fmt.Sprintf("the document grows above %d bytes here", executor.MaxDocument)}
	}
	switch n.Kind {
	case yaml.MappingNode:
		return c.mapping(n, path, depth)
	case yaml.SequenceNode:
		return c.sequence(n, path, depth)
	case yaml.AliasNode:
		return c.node(n.Alias, path, depth+1)
	}
	return c.scalar(n, path)
}

func (c *yamlConverter) mapping(n *yaml.Node, path string, depth int) error {
	seen := map[string]bool{}
	c.out.WriteByte('{')
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			return problem{key.Line, fmt.Sprintf("%s: a key must be a string: put it in quotes", at)}
		case seen[key.Value]:
			return problem{key.Line, at + ": given twice"}
		}
		seen[key.Value] = true
		c.lines[at] = key.Line
		if i > 0 {
			c.out.WriteByte(',')
		}
		c.text(key.Value)
		c.out.WriteByte(':')
		if err := c.node(value, at, depth+1); err != nil {
			return err
		}
	}
	c.out.WriteByte('}')
	return nil
}

func (c *yamlConverter) sequence(n *yaml.Node, path string, depth int) error {
	c.out.WriteByte('[')
	for i, value := range n.Content {
		if i > 0 {
			c.out.WriteByte(',')
		}
		if err := c.node(value, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	c.out.WriteByte(']')
	return nil
}

func (c *yamlConverter) scalar(n *yaml.Node, path string) error {
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp": // times are strings in a job
		c.text(n.Value)
	case "!!null":
		c.out.WriteString("null")
	case "!!bool":
		c.out.WriteString(strings.ToLower(n.Value))
	case "!!int", "!!float":
		if !json.Valid([]byte(n.Value)) {
			return problem{n.Line, fmt.Sprintf("%s: %s is no plain decimal number: put it in quotes if it is text", path, n.Value)}
		}
		c.out.WriteString(n.Value)
	default:
		return problem{n.Line, fmt.Sprintf("%s: the tag %s means nothing in a job", path, tag)}
	}
	return nil
}

func (c *yamlConverter) text(s string) {
	enc := json.NewEncoder(&c.out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes, and a Buffer takes all
	c.out.Truncate(c.out.Len() - 1)
}
