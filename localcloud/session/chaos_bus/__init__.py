"""`./millrace chaos service_bus`: the Service Bus emulator alone: it and its clients are killed; messages counted."""
