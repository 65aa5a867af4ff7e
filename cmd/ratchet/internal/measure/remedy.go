package measure

// Brokers are those whose settings are known.
var Brokers = []string{"mosquitto", "EMQX", "HiveMQ", "VerneMQ", "NATS"}

// Remedies are what to set where a broker does not do what is wanted, by Row.Remedy
// and then in the order of Brokers. Empty where there is nothing to set.
var Remedies = map[string][]string{
	"retained": {
		"max_queued_messages 0 (in 2.0.2, 2.0.16 and 2.0.21 10000000)",
		"retainer.delivery_rate = infinity, and mqtt.max_mqueue_len = infinity for operators",
		"<queued-messages> <max-queue-size>100000",
		"max_online_messages = 100000",
		"mqtt { max_ack_pending: 65535 }",
	},
	"kept": {
		"retain_available true, and memory_limit 0",
		"retainer.enable = true, and retainer.max_publish_rate = infinity",
		"<retained-messages> <enabled>true",
		"retain_persist_interval = 1: what is read on another node within a second is not there yet",
		"jetstream { store_dir, max_file_store }: retained messages lie there",
	},
	"rate": {
		"autosave_interval 1800, and persistence_location on a faster disk", "retainer.max_publish_rate = infinity", "", "max_message_rate = 0",
		"jetstream { store_dir } on a faster disk",
	},
	"size": {
		"message_size_limit 0, and in 2.1 max_packet_size 1000000", "mqtt.max_packet_size = 1MB",
		"<packets> <max-packet-size>1000000", "max_message_size = 0", "max_payload: 1MB",
	},
	"will": {"", "mqtt.keepalive_multiplier = 1.5", "<keep-alive> <max-keep-alive>65535", "", ""},
	"session": {
		"persistent_client_expiration 14d", "mqtt.session_expiry_interval = 14d", "<session-expiry> <max-interval>1209600",
		"persistent_client_expiration = 2w", "",
	},
	"queue": {
		"max_queued_messages 1000 or more", "mqtt.max_mqueue_len = 1000 or more", "<queued-messages> <max-queue-size>1000",
		"max_offline_messages = 1000", "mqtt { max_ack_pending: 1024 }",
	},
}
