// What the types refuse: tsc fails where one of these lines is no error.
import { type Attribute, CloudEvent, SendError, call, config, emit, event, fields, listeners, query, request } from "@conche/guest";

const Order = fields({ customer: "string", "note?": "string", items: [{ sku: "string", count: "natural" }] });

query("cyverse.shop.Order", Order, function order({ customer, note, items }) {
  const texts: string[] = [customer, ...items.map(({ sku }) => sku)];
  const counts: number[] = items.map(({ count }) => count);
  // @ts-expect-error a field that may be absent
  const length: number = note.length;
  // @ts-expect-error a field that the shape has not
  customer.colour;
  // @ts-expect-error text is no number
  const wrong: number = customer;
  return { texts, counts, length, wrong };
});

// @ts-expect-error no such shape
fields({ customer: "strings" });

// @ts-expect-error an event's handler answers nothing
event("org.cyverse.events.Paid", () => "done");

// @ts-expect-error a raw handler has no schema
query.raw("cyverse.shop.Raw", Order, (message: CloudEvent) => message.json);

function handler(message: CloudEvent): void {
  // @ts-expect-error what came in stays as it came
  message.subject = "other";
  // @ts-expect-error an extension may be text, true or false
  const extension: number = message.extensions.count;
  const attribute: Attribute | undefined = message.extensions.count;
  // @ts-expect-error a message needs its type
  emit({ subject: "s" });
  // @ts-expect-error an extension is no list
  emit({ type: "org.cyverse.events.Paid", extensions: { list: [extension, attribute] } });
  // @ts-expect-error the name has another spelling
  request({ type: "cyverse.users.Get" }, { timeout: 5 });
  // @ts-expect-error a listener names its handler
  listeners.add({ types: "org.cyverse.events.Paid" });
  // @ts-expect-error there may be no such key
  config.get("shop").length;
  // @ts-expect-error facts are read
  call.attempt = 2;
}

event.raw("org.cyverse.events.Raw", handler);

// @ts-expect-error only the SDK makes them
new SendError();

// @ts-expect-error only the host makes them
new CloudEvent();
