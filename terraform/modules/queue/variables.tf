variable "name" {
  type        = string
  description = "Of the queue; its dead-letter queue has -dlq behind it. Another name is another, empty queue, and what waits in this one is lost."

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,76}$", var.name))
    error_message = "Expected at most 76 letters, digits, hyphens and underscores: with -dlq it may have 80."
  }
}

variable "visibility_timeout_seconds" {
  type        = number
  description = "How long a received message stays hidden. Below six timeouts of the consumer, a throttled batch comes back while it is still worked on."

  validation {
    condition     = var.visibility_timeout_seconds >= 6 && var.visibility_timeout_seconds <= 43200
    error_message = "Expected at most twelve hours, which is all that SQS hides a message for."
  }
}

variable "retention_seconds" {
  type        = number
  description = "How long a message may wait. What waits longer is gone, and comes again only with the reconciler."

  validation {
    condition     = var.retention_seconds >= 60 && var.retention_seconds <= 14 * 24 * 3600
    error_message = "Expected a minute to fourteen days, which is what SQS takes."
  }
}

variable "dead_letters_retention_seconds" {
  type        = number
  description = "How long a message stays parked, counted from its first enqueueing."

  validation {
    condition     = var.dead_letters_retention_seconds > var.retention_seconds && var.dead_letters_retention_seconds <= 14 * 24 * 3600
    error_message = "Expected more than retention_seconds, and fourteen days at most: a parked message keeps its first enqueue time, so a dead-letter queue that keeps no longer than its queue deletes it early."
  }
}

variable "max_receive_count" {
  type        = number
  description = "After how many receives a message is parked. Too few, and an outage of the warehouse parks everything."

  validation {
    condition     = var.max_receive_count >= 1 && var.max_receive_count <= 1000
    error_message = "Expected 1 to 1000 receives, which is what SQS takes."
  }
}

variable "arn_prefix" {
  type        = string
  description = "What the ARN of every queue here begins with, up to its name. A wrong one, and the queue has no dead-letter queue."

  validation {
    condition     = can(regex("^arn:[a-z-]+:sqs:[a-z0-9-]+:[0-9]{12}$", var.arn_prefix))
    error_message = "Expected arn:aws:sqs:REGION:ACCOUNT."
  }
}

variable "key_arn" {
  type        = string
  description = "KMS key for the messages; null for SQS's own. Senders and receivers need rights on it."
  default     = null

  validation {
    condition     = var.key_arn == null || can(regex("^arn:", var.key_arn))
    error_message = "Expected a key's ARN, or null."
  }
}
