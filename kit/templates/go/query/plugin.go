// Package plugin answers the query cyverse.{{name}}.Greet: {"name": …} in, {"greeting": …} out.
package plugin

import "conche.dev/conche"

// Plugin is what the host loads.
var Plugin = conche.New(
	conche.Reusable(),
	conche.Query(greet, "cyverse.{{name}}.Greet"),
)

// Ask is what comes in.
type Ask struct {
	Name string `json:"name"`
}

// Greeting is what goes out.
type Greeting struct {
	Greeting string `json:"greeting"`
}

func greet(ask Ask) (Greeting, error) {
	return Greeting{"Hello, " + ask.Name + "!"}, nil
}
