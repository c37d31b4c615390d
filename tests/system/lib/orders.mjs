// The people of schemas/sql/example-rows.sql and events of the orders system.
export const ADMIN = 1;
export const CEO = 2;
export const MANAGER_OF_1 = 3;
export const MANAGER_OF_2_AND_3 = 4;
export const BUYER = 123;
export const OTHER_BUYER = 124;

export const order = (fields = {}) => ({
  id: 456,
  order_number: '1234',
  user_id: BUYER,
  city_id: 1,
  status: 'pending',
  total: 1500,
  bonuses_earned: 75,
  ...fields,
});

export const statusUpdate = (fields = {}) => ({
  orderId: 456, newStatus: 'preparing', oldStatus: 'confirmed', timestamp: '2024-01-15T10:30:00.000Z', ...fields,
});

export const bonusUpdate = (fields = {}) => ({
  balance: 150.5, operation: { type: 'earned', amount: 75, orderId: 456 }, timestamp: '2024-01-15T10:30:00.000Z', ...fields,
});

export const syncResult = (fields = {}) => ({
  entity: 'order', entityId: 456, timestamp: '2024-01-15T10:30:00.000Z', ...fields,
});

/* Publishes an order; a story's usual event. */
export const placeOrder = (world, fields, options = {}) =>
  world.publish('orders.v1', 'order.created', order(fields), { key: String(fields?.id ?? 456), ...options });
