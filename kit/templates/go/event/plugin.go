// Package plugin hears org.cyverse.events.GreetingRequested, says org.cyverse.events.Greeted.
package plugin

import "conche.dev/conche"

// Plugin is what the host loads.
var Plugin = conche.New(
	conche.Reusable(),
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

func say(ask Ask) error {
	_, err := conche.Emit(conche.Draft{
		Type: "org.cyverse.events.Greeted",
		Data: Greeting{"Hello, " + ask.Name + "!"},
	})
	return err
}
