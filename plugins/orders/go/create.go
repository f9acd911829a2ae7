package plugin

import (
	"fmt"
	"log/slog"
	"math/bits"
	"strings"

	"conche.dev/conche"
)

const maxQuantity = 100

// Order is what is asked for.
type Order struct {
	Customer string `json:"customer"`
	Items    []Item `json:"items"`
}

// Item is some of one thing, at a price for each.
type Item struct {
	SKU      string `json:"sku"`
	Quantity uint32 `json:"quantity"`
	Cents    uint64 `json:"cents"`
}

// Created is the answer, and what others are told.
type Created struct {
	Order      string `json:"order"`
	Customer   string `json:"customer"`
	TotalCents uint64 `json:"total_cents"`
}

// Mistake is one thing that is wrong with an order, for programs: the fault's details are all.
type Mistake struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

func create(order Order) (Created, error) {
	total, mistakes := check(order)
	if len(mistakes) > 0 {
		return Created{}, conche.Fault(422, "the order is not acceptable").With(mistakes)
	}
	// The same query, asked again, is the same order: the number comes from the call.
	created := Created{"o-" + conche.IdempotencyKey(), order.Customer, total}
	_, err := conche.Emit(conche.Draft{
		Type:    "org.cyverse.events.OrderCreated",
		Subject: created.Order,
		Key:     "created",
		Data:    created,
	})
	if err != nil {
		return Created{}, err
	}
	slog.Info("order created", "order", created.Order, "total_cents", total)
	return created, nil
}

// check finds every mistake at once, for who has to mend them; without any, the total.
func check(order Order) (total uint64, mistakes []Mistake) {
	mistake := func(field, reason string) { mistakes = append(mistakes, Mistake{field, reason}) }
	if strings.TrimSpace(order.Customer) == "" {
		mistake("customer", "is empty")
	}
	if len(order.Items) == 0 {
		mistake("items", "is empty")
	}
	var over uint64 // what of the total does not fit in 64 bits
	for i, item := range order.Items {
		if strings.TrimSpace(item.SKU) == "" {
			mistake(fmt.Sprintf("items[%d].sku", i), "is empty")
		}
		if item.Quantity < 1 || item.Quantity > maxQuantity {
			reason := fmt.Sprintf("is %d, not within 1 and %d", item.Quantity, maxQuantity)
			mistake(fmt.Sprintf("items[%d].quantity", i), reason)
		}
		high, low := bits.Mul64(uint64(item.Quantity), item.Cents)
		sum, carry := bits.Add64(total, low, 0)
		total, over = sum, over+high+carry
	}
	if over > 0 {
		mistake("items", "costs more than can be counted")
	}
	return total, mistakes
}
