package plugin

import (
	"log/slog"
	"strconv"
	"time"

	"conche.dev/conche"
)

const (
	settleAttempts = 3
	settleWait     = time.Second
)

// PaymentFailed is what is heard of a payment.
type PaymentFailed struct {
	Order  string `json:"order"`
	Reason string `json:"reason"`
	// IsFinal: the provider says that trying again is of no use.
	IsFinal bool `json:"is_final,omitempty"`
}

// OnHold is what others are told of an order that is not paid.
type OnHold struct {
	Order  string `json:"order"`
	Reason string `json:"reason"`
}

func paymentFailed(payment PaymentFailed) error {
	attempts, err := conche.ParseConfig("settle-attempts", count, settleAttempts)
	if err != nil {
		return err
	}
	if !payment.IsFinal && uint64(conche.Attempt()) < attempts {
		message := "payment of " + payment.Order + " not settled yet: " + payment.Reason
		return conche.Retry(message).After(settleWait)
	}
	slog.Warn("payment failed for good", "order", payment.Order)
	_, err = conche.Emit(conche.Draft{
		Type:    "org.cyverse.events.OrderOnHold",
		Subject: payment.Order,
		Key:     "on-hold",
		Data:    OnHold{payment.Order, payment.Reason},
	})
	return err
}

func count(text string) (uint64, error) { return strconv.ParseUint(text, 10, 32) }
