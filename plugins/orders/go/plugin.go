// Package plugin is a small real case.
//
// The query cyverse.orders.Create takes {"customer", "items": [{"sku", "quantity", "cents"}]},
// answers the order's number and total, and emits org.cyverse.events.OrderCreated; an order that is
// not acceptable is answered with a fault 422 that lists all that is wrong.
//
// The event org.cyverse.events.PaymentFailed asks to be retried until the third delivery, since such
// a payment often settles by itself; then it emits org.cyverse.events.OrderOnHold.
package plugin

import "conche.dev/conche"

// Plugin is what the host loads.
var Plugin = conche.New(
	conche.Reusable(),
	conche.Query(create, "cyverse.orders.Create"),
	conche.Event(paymentFailed, "org.cyverse.events.PaymentFailed").As("payment_failed"),
)
