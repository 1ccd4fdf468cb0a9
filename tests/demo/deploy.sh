#!/bin/sh
# SPDX-License-Identifier: MIT
# Stands for a deploy script: says what it would deploy.
echo "deploying iteration $1 of project $CVN_PROJECT_ID (${CVN_PLATFORM:-no platform}, attempt $CVN_ATTEMPT)"
echo "deployed $1 for message $CVN_MESSAGE_ID" >> "$DEMO/deployed"
