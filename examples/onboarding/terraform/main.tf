# The roles that Plumbline assumes in an account: one that reads, and, where you ask for it, one that changes.
#
# audit.json and enforce.json are what `plumbline iam-policy audit` and `plumbline iam-policy enforce` print: what any
# baseline can need, but for `narrow`, which needs the right to open ports. Print them with -f and your manifests for
# less.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_partition" "this" {}

# The trust is the same document as `plumbline iam-policy trust` prints.
locals {
  partition = data.aws_partition.this.partition
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "PlumblineOperator"
      Effect    = "Allow"
      Principal = { AWS = var.operator_role_arn }
      Action    = ["sts:AssumeRole"]
      Condition = { StringEquals = { "sts:ExternalId" = var.external_id } }
    }]
  })
}

resource "aws_iam_role" "audit" {
  name               = var.audit_role_name
  description        = "Plumbline reads this account's settings with it. It can change nothing."
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy" "audit" {
  name   = "audit"
  role   = aws_iam_role.audit.id
  policy = replace(file("${path.module}/audit.json"), "arn:aws:", "arn:${local.partition}:")
}

resource "aws_iam_role" "enforce" {
  count              = var.enforce_role ? 1 : 0
  name               = var.enforce_role_name
  description        = "Plumbline closes drift with it, one recorded change at a time."
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy" "enforce" {
  count  = var.enforce_role ? 1 : 0
  name   = "enforce"
  role   = aws_iam_role.enforce[0].id
  policy = replace(file("${path.module}/enforce.json"), "arn:aws:", "arn:${local.partition}:")
}
