variable "environment" {
  type        = string
  description = "What this deployment is called, as prod. Every name begins with it, so another value is another pipeline beside this one, not this one renamed."

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$", var.environment))
    error_message = "Expected at most 16 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen: a bucket's name, which has it inside, ends at 63 characters."
  }
}

variable "region" {
  type        = string
  description = "Where everything is made. Changed later, it makes all of it anew there, empty, and destroys what was here."
  default     = "eu-west-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "Expected a region, as eu-west-2."
  }
}

variable "packages_dir" {
  type        = string
  description = "Folder of the zips that `make package` builds for Lambda. With the zips of an earlier deployment in it, an apply rolls back to that one."
  default     = "../build/packages/lambda"

  validation {
    condition     = fileexists("${var.packages_dir}/packages.json")
    error_message = "Expected packages.json and the zips beside it in packages_dir: build them with `make package`."
  }
}

variable "time_zone" {
  type        = string
  description = "IANA zone in which the source's timestamps without zone are meant. A wrong one shifts every time, and lets polls read back too little or too much."
  default     = "UTC"

  validation {
    condition     = can(regex("^[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_+-]+)*$", var.time_zone))
    error_message = "Expected a zone's name such as UTC or Europe/London."
  }
}

variable "source_schema" {
  type        = string
  description = "Schema of the source's tables. In a wrong one the poller finds none, and each feed stops."
  default     = "public"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_]{0,62}$", var.source_schema))
    error_message = "Expected the name of a schema: lower-case letters, digits and underscores."
  }
}

variable "warehouse_schema" {
  type        = string
  description = "Schema of the star tables, which `totes migrate` makes. In a wrong one the loader finds none, and load batches wait until they are parked."
  default     = "warehouse"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_]{0,62}$", var.warehouse_schema))
    error_message = "Expected the name of a schema: lower-case letters, digits and underscores."
  }
}

variable "poll_interval_seconds" {
  type        = number
  description = "Pause between the starts of two polls. Shorter, the source answers more often and S3 costs more; longer, rows come later by as much."
  default     = 5

  validation {
    condition     = var.poll_interval_seconds >= 0.1 && var.poll_interval_seconds <= 60
    error_message = "Expected 0.1 to 60 seconds: below, polls follow each other without a pause; above, the poller's heartbeats are late."
  }
}

variable "log_level" {
  type        = string
  description = "Least level that is logged. Above INFO the log no longer says what became of a batch, and `totes trace` and the runbook's look at it find nothing."
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "Expected DEBUG, INFO, WARNING or ERROR."
  }
}

variable "runbook_url" {
  type        = string
  description = "Where docs/operations.md stands, as somebody who was woken can open it; each alarm's text ends with it. A wrong one costs them minutes."
  default     = "docs/operations.md"

  validation {
    condition     = var.runbook_url == "docs/operations.md" || can(regex("^https://[^ #]+$", var.runbook_url))
    error_message = "Expected an https address without a fragment (#…), or docs/operations.md, its place in the repository."
  }
}

variable "alarm_emails" {
  type = object({
    critical = optional(set(string), [])
    warning  = optional(set(string), [])
    every    = optional(set(string), [])
  })
  description = "Who gets mail: when changes no longer reach the warehouse, when somebody should look within a day, and of every single alarm. With nobody in critical, nobody is woken."
  default     = {}

  validation {
    condition     = alltrue([for email in flatten([for emails in values(var.alarm_emails) : tolist(emails)]) : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "Expected e-mail addresses, as name@example.com."
  }
}

variable "archive_retention_days" {
  type        = number
  description = "After how many days an archive object is deleted for good; null keeps it for ever. What is deleted can be rebuilt no more, and a row that did not change since then is in the warehouse alone."
  default     = null

  validation {
    condition     = try(var.archive_retention_days >= 90 && floor(var.archive_retention_days) == var.archive_retention_days, var.archive_retention_days == null)
    error_message = "Expected null, or whole days from 90 on: dead letters and quarantine point into the archive for as long as they are kept."
  }
}

variable "customer_managed_key" {
  type        = bool
  description = "Whether one KMS key of the account encrypts buckets, queues, secrets, logs and topics, instead of AWS's own. Whoever reads them then needs kms:Decrypt on it, and its loss is theirs. Switched later, it holds for what is written from then on."
  default     = false
  nullable    = false
}

variable "vpc" {
  type = object({
    subnet_ids      = set(string)
    route_table_ids = optional(set(string), [])
    endpoints       = optional(bool, true)
    databases       = map(object({ cidr = string, port = optional(number, 5432) }))
  })
  description = "Subnets that the functions are attached to, and the databases they may reach from there; null for none. Functions in a VPC have no way out of their own: with endpoints, S3 (by these route tables), SQS and Secrets Manager are reached inside; without, the subnets need a NAT gateway, or everything stands still."
  default     = null

  validation {
    condition     = var.vpc == null || length(try(var.vpc.subnet_ids, [])) > 0
    error_message = "Expected at least one subnet in vpc.subnet_ids; two in different zones outlive the loss of one."
  }

  validation {
    condition     = var.vpc == null || !try(var.vpc.endpoints, false) || length(try(var.vpc.route_table_ids, [])) > 0
    error_message = "Expected the subnets' route tables in vpc.route_table_ids: S3's endpoint is a route, and without it no function reaches S3."
  }

  validation {
    condition     = var.vpc == null || length(try(var.vpc.databases, {})) > 0
    error_message = "Expected source and warehouse in vpc.databases: the functions' security group lets out nothing else."
  }

  validation {
    condition     = alltrue([for database in values(try(var.vpc.databases, {})) : can(cidrnetmask(database.cidr)) && database.port >= 1 && database.port <= 65535])
    error_message = "Expected of each database an IPv4 range such as 10.0.7.0/24 and a port."
  }
}

variable "permissions_boundary" {
  type        = string
  description = "ARN of the policy that bounds every role made here; null for none. The apply role of terraform/bootstrap may make no role without its own, so from GitHub an apply without it is refused."
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:policy/.+$", var.permissions_boundary))
    error_message = "Expected a policy's ARN, or null."
  }
}

variable "delete_data" {
  type        = bool
  description = "Whether destroy may delete archive, processed and control with all that is in them, and secrets at once. For environments that are thrown away: everywhere else it is the one thing that cannot be made again."
  default     = false
  nullable    = false
}
