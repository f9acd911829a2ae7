// Package plugin answers the query cyverse.{{name}}.Greet: {"name": …} in, {"greeting": …} out. It
// hears org.cyverse.events.GreetingRequested, and says org.cyverse.events.Greeted.
package plugin

import "conche.dev/conche"

// Plugin is what the host loads.
var Plugin = conche.New(
	conche.Reusable(),
	conche.Query(greet, "cyverse.{{name}}.Greet"),
	conche.Event(say, "org.cyverse.events.GreetingRequested"),
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

func say(ask Ask) error {
	greeting, err := greet(ask)
	if err != nil {
		return err
	}
	_, err = conche.Emit(conche.Draft{Type: "org.cyverse.events.Greeted", Data: greeting})
	return err
}
