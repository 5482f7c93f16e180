# Without a value: a DSN in a variable would stand in the state and in every plan. docs/deploy.md tells how to put it in.
resource "aws_secretsmanager_secret" "dsn" {
  #checkov:skip=CKV_AWS_149: encrypted with AWS's key unless customer_managed_key is set
  #checkov:skip=CKV2_AWS_57: the password belongs to a database that is not made here; a rotated one is read again when the old is refused
  for_each = local.topology.secrets

  name        = local.secret_names[each.key]
  description = each.value.purpose
  kms_key_id  = local.key_arn

  # A deleted secret keeps its name for so long, and an apply in the meantime fails: restore it with
  # `aws secretsmanager restore-secret` and import it.
  recovery_window_in_days = var.delete_data ? 0 : 30
}
