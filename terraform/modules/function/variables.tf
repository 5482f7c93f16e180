variable "name" {
  type        = string
  description = "Of the function, its role and its log group. Another name is another function, and alarms look for this one."

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,64}$", var.name))
    error_message = "Expected at most 64 letters, digits, hyphens and underscores."
  }
}

variable "handler" {
  type        = string
  description = "Module and function within the package. A wrong one fails at the first invocation."

  validation {
    condition     = can(regex("^services\\.[a-z_]+\\.handler\\.handler$", var.handler))
    error_message = "Expected services.NAME.handler.handler."
  }
}

variable "runtime" {
  type        = string
  description = "The Python that the package's wheels were chosen for; another one cannot import them."

  validation {
    condition     = can(regex("^python3\\.[0-9]+$", var.runtime))
    error_message = "Expected a Python such as python3.13."
  }
}

variable "architecture" {
  type        = string
  description = "The processor that the package's wheels were chosen for; another one cannot load them."

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Expected arm64 or x86_64."
  }
}

variable "memory_mb" {
  type        = number
  description = "Memory, and with it the share of a processor. Too little, and the function is killed at a large object."

  validation {
    condition     = var.memory_mb >= 256 && var.memory_mb <= 10240
    error_message = "Expected 256 to 10240 MB: below, Python with its packages has no room; above, Lambda has none."
  }
}

variable "timeout_seconds" {
  type        = number
  description = "When an invocation is cut. The visibility timeout of its queue follows from it."

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900
    error_message = "Expected 1 to 900 seconds, which is what Lambda takes."
  }
}

variable "package" {
  type        = object({ bucket = string, key = string, hash = string })
  description = "Where the zip lies, and the base64 of its sha256, by which Lambda knows that it is another one."

  validation {
    condition     = endswith(var.package.key, ".zip")
    error_message = "Expected the key of a zip."
  }
}

variable "layer_arns" {
  type        = list(string)
  description = "Versions of the layers below the package. Without them what it imports is missing."

  validation {
    condition     = length(var.layer_arns) <= 5
    error_message = "Expected at most five layers, which is what Lambda takes."
  }
}

variable "environment" {
  type        = map(string)
  description = "Environment variables: names and addresses, never a secret, since whoever may look at a function sees them."

  validation {
    condition     = !anytrue([for value in values(var.environment) : can(regex("^postgres(ql)?://", value))])
    error_message = "Expected no DSN in the environment: put it into its secret and tell the secret's name."
  }
}

variable "log_retention_days" {
  type        = number
  description = "How long the log is kept. What `totes trace` finds in it is gone afterwards."

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "Expected a number of days that CloudWatch knows, as 30."
  }
}

variable "scheduled" {
  type        = bool
  description = "Whether a schedule invokes it, and not a queue: then a run that failed is left to the next one."
  nullable    = false
}

variable "statements" {
  type        = list(object({ actions = list(string), resources = list(string) }))
  description = "What it may do beside writing its own log. What is missing fails with AccessDenied."

  validation {
    condition     = alltrue([for action in flatten(var.statements[*].actions) : can(regex("^[a-z0-9-]+:[A-Za-z]+$", action))])
    error_message = "Expected actions that are named, without a wildcard."
  }

  validation {
    condition     = alltrue([for resource in flatten(var.statements[*].resources) : resource != "*"])
    error_message = "Expected resources that are named, never all of them."
  }
}

variable "permissions_boundary" {
  type        = string
  description = "ARN of the policy that bounds its role; null for none."
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:", var.permissions_boundary))
    error_message = "Expected a policy's ARN, or null."
  }
}

variable "key_arn" {
  type        = string
  description = "KMS key of what it reads and writes, of its log and of its environment; null for none."
  default     = null

  validation {
    condition     = var.key_arn == null || can(regex("^arn:", var.key_arn))
    error_message = "Expected a key's ARN, or null."
  }
}

variable "encrypted_services" {
  type        = list(string)
  description = "Services through which it may use the key. Through any other one it is refused."

  validation {
    condition     = length(var.encrypted_services) > 0
    error_message = "Expected a service at least: a key that nobody may use through anything shuts everything."
  }
}

variable "network" {
  type        = object({ subnet_ids = set(string), security_group_ids = set(string) })
  description = "Where in a VPC it is attached; null for none. Attached, it has no way out but what the network has."
  default     = null

  validation {
    condition     = var.network == null || length(try(var.network.subnet_ids, [])) > 0
    error_message = "Expected a subnet at least, or null."
  }
}

variable "account_id" {
  type        = string
  description = "The account of its log. With a wrong one it logs nothing."

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "Expected an account id of twelve digits."
  }
}

variable "region" {
  type        = string
  description = "The region of its log. With a wrong one it logs nothing."

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "Expected a region, as eu-west-2."
  }
}

variable "partition" {
  type        = string
  description = "aws, aws-cn or aws-us-gov: what ARNs begin with. With a wrong one the policies are refused."

  validation {
    condition     = can(regex("^aws(-[a-z]+)*$", var.partition))
    error_message = "Expected a partition, as aws."
  }
}
