				if (txn->mt_parent->mt_child == txn)
					txn->mt_parent->mt_child = NULL;
