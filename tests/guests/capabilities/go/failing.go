package plugin

import (
	"time"

	"conche.dev/conche"
)

// Fail says how to.
type Fail struct {
	How  string `json:"how"`
	Code int    `json:"code"`
}

func fail(ask Fail) (any, error) {
	switch ask.How {
	case "reject":
		return nil, conche.Reject(ask.Code, "will never work")
	case "retry":
		return nil, conche.Retry("not there yet")
	case "retry-after":
		return nil, conche.Retry("not there yet").After(1500 * time.Millisecond)
	}
	details := []map[string]string{{"field": "name"}}
	return nil, conche.Fault(ask.Code, "not acceptable").With(details)
}
