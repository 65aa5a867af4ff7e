package executor

// placeholder, see jq.go
type Expr struct{}

func Compile(src string) (*Expr, error) { return &Expr{}, nil }
