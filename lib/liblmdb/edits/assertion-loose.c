				if (x > dl[0].mid)
					continue;
