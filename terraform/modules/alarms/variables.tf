variable "prefix" {
  type        = string
  description = "What every name begins with, and the namespace of the metrics that the functions emit: another one and the alarms watch metrics that nobody emits."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.prefix))
    error_message = "Expected a prefix of at most 40 lower-case letters, digits and hyphens, beginning with a letter: a composite's rule holds one name for each alarm, and has an end."
  }
}

variable "topology" {
  type = object({
    rules     = object({ schedule_late_seconds = number })
    queues    = map(object({}))
    functions = map(object({ timeout_seconds = number }))
    schedules = map(object({ every_minutes = number }))
    feeds     = object({ loaded = list(string), archived = list(string) })
    alarms = map(object({
      severity       = string
      over           = string
      service        = optional(string)
      metric         = string
      statistic      = string
      comparison     = string
      threshold      = number
      threshold_of   = optional(string)
      period_seconds = number
      periods        = number
      missing_data   = string
      runbook        = string
    }))
  })
  description = "topology.yaml, decoded: what there is to be alarmed over, and each alarm. What is left out of it has no alarm."

  validation {
    condition     = alltrue([for alarm in var.topology.alarms : contains(["critical", "warning"], alarm.severity)])
    error_message = "Expected every alarm's severity to be critical or warning: each severity is a topic and a composite alarm."
  }
}

variable "runbook_url" {
  type        = string
  description = "Where docs/operations.md stands, as somebody who was woken can open it; each alarm's description adds its section. A wrong one costs them minutes."

  validation {
    condition     = var.runbook_url == "docs/operations.md" || can(regex("^https://[^ #]+$", var.runbook_url))
    error_message = "Expected an https address without a fragment (#…), or docs/operations.md, its place in the repository."
  }

  validation {
    condition     = length(var.runbook_url) <= 250
    error_message = "Expected at most 250 characters: an alarm's description, which ends with it, may have 1,024."
  }
}

variable "emails" {
  type = object({
    critical = optional(set(string), [])
    warning  = optional(set(string), [])
    every    = optional(set(string), [])
  })
  description = "Who gets mail: of the composite alarm critical, of warning, and of every single alarm. With nobody in critical, nobody is woken."

  validation {
    condition     = alltrue([for email in flatten([for emails in values(var.emails) : tolist(emails)]) : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "Expected e-mail addresses, as name@example.com."
  }
}

variable "account_id" {
  type        = string
  description = "The account whose alarms may publish; CloudWatch in any other one is refused."

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "Expected an account id of twelve digits."
  }
}

variable "region" {
  type        = string
  description = "The region whose alarms may publish; alarms and their topics must be in the same one."

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "Expected a region, as eu-west-2."
  }
}

variable "partition" {
  type        = string
  description = "aws, aws-cn or aws-us-gov: what ARNs begin with. A wrong one lets no alarm publish."
  default     = "aws"

  validation {
    condition     = can(regex("^aws(-[a-z]+)*$", var.partition))
    error_message = "Expected a partition, as aws."
  }
}

variable "key_arn" {
  type        = string
  description = "KMS key that encrypts the topics, null for none. Its policy must let cloudwatch.amazonaws.com decrypt and generate data keys, or no alarm arrives (the key alias/aws/sns does not)."
  default     = null

  validation {
    condition     = var.key_arn == null || can(regex("^arn:", var.key_arn))
    error_message = "Expected a key's ARN, or null."
  }
}
