variable "prefix" {
  type        = string
  description = "What every name begins with, and the namespace of the metrics that the functions emit: another one and the dashboard stays empty."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.prefix))
    error_message = "Expected a prefix of at most 40 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "topology" {
  type = object({
    queues    = map(object({}))
    functions = map(object({}))
    feeds     = object({ loaded = list(string), archived = list(string) })
    alarms    = map(object({ threshold = number }))
  })
  description = "topology.yaml, decoded: what there is to be shown. What is left out of it is not seen."

  validation {
    condition     = alltrue([for alarm in ["freshness_late", "freshness_broken", "heartbeat_missing", "queue_backs_up"] : contains(keys(var.topology.alarms), alarm)])
    error_message = "Expected the alarms freshness_late, freshness_broken, heartbeat_missing and queue_backs_up: their thresholds are drawn as lines."
  }
}

variable "buckets" {
  type        = map(string)
  description = "Name of the bucket of each of archive and processed: another one and the count of its objects stays empty."

  validation {
    condition     = length(setsubtract(["archive", "processed"], keys(var.buckets))) == 0
    error_message = "Expected the buckets archive and processed: both are steps of the path."
  }
}

variable "alarm_arns" {
  type        = list(string)
  description = "Of all alarms, in the order in which they are shown: one that is left out may ring unseen."

  validation {
    condition     = length(var.alarm_arns) <= 100
    error_message = "Expected at most 100 alarms, which is all that one widget of CloudWatch shows."
  }
}

variable "region" {
  type        = string
  description = "The region of what is shown."

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "Expected a region, as eu-west-2."
  }
}
